"""The command line: one typed function a file, which only calls the library."""
