import hashlib
import os
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pyg_darec.io import DownloadError, download

CONTENT = random.Random(0).randbytes(3 * 2**20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/missing':
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != '/no-length':
            self.send_header('Content-Length', str(len(CONTENT)))
        self.end_headers()
        size = len(CONTENT) // 2 if 'half' in self.path else len(CONTENT)
        self.wfile.write(CONTENT[:size])
        if self.path == '/half-then-silence':
            self.server.released.wait(10)

    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def server():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')


@pytest.mark.parametrize('name', ['good', 'no-length'])
def test_good(server, tmp_path, name, capsys):
    path = download(f'{server}/{name}', tmp_path / 'new' / 'a.zip', SHA256)
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ['a.zip']
    assert 'a.zip' in capsys.readouterr().err  # the progress bar


@pytest.mark.parametrize(
    ('name', 'sha256', 'message'),
    [
        ('good', '0' * 64, f"expected sha256 '{'0' * 64}', found '{SHA256}'"),
        ('missing', SHA256, '404'),
        ('half', SHA256, 'incomplete'),
        ('half-then-silence', SHA256, 'timed out'),
    ],
)
@pytest.mark.parametrize('earlier', [False, True])
def test_bad(server, tmp_path, name, sha256, message, earlier):
    path = tmp_path / 'a.zip'
    if earlier:
        path.write_text('earlier')
    with pytest.raises(DownloadError, match=message) as info:
        download(f'{server}/{name}', path, sha256, timeout=0.5)
    for part in (server, str(path), 'save it as'):
        assert part in str(info.value)
    assert os.listdir(tmp_path) == ['a.zip'] * earlier
    assert not earlier or path.read_text() == 'earlier'


def test_nobody_there(tmp_path):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{unused.getsockname()[1]}/a.zip'
        with pytest.raises(DownloadError, match='refused'):
            download(url, tmp_path / 'a.zip', SHA256)
    assert os.listdir(tmp_path) == []


def test_error_is_an_os_error():
    assert issubclass(DownloadError, OSError)
