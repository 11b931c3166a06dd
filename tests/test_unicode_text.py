import pytest

from allophone.errors import AudioError
from allophone.unicode_text import as_unicode


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("字 é 🎙", "字 é 🎙"),
        (b"caf\xe9.wav".decode("utf-8", "surrogateescape"), "caf\\xe9.wav"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), "\\xff\\xfe"),
        ("a\ud800b", "a\\ud800b"),
        ("\udce9\ud800", "\\udce9\\ud800"),
        ("", ""),
    ],
)
def test_any_text_becomes_whole_unicode(text, shown):
    assert as_unicode(text) == shown
    assert as_unicode(text).encode("utf-8").decode("utf-8") == shown


def test_messages_of_errors_can_be_written():
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    error = AudioError(f"{name}: no such file.")
    assert str(error) == "caf\\xe9.wav: no such file."
