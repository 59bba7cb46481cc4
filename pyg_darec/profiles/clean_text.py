_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], ' ')


def clean_text(text: str) -> str:
    r"""Puts a text on one line: control characters and runs of white space
    become single spaces, and what is no character at all (half of a surrogate
    pair) a question mark. Letters of all scripts and emoji stay as they are.
    """
    text = text.translate(_CONTROL).encode(errors='replace').decode()
    return ' '.join(text.split())
