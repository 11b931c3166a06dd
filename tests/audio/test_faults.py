import pytest

from allophone.audio.faults import as_audio_error, reason_of
from allophone.errors import AudioError, UsageError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("No kernel image."), r"a\.wav: cannot be processed \(RuntimeError: no kernel image\)\."),
        (ZeroDivisionError("division by zero"), r"a\.wav: cannot be processed \(ZeroDivisionError: division by zero"),
        (MemoryError(), r"a\.wav: does not fit into memory"),
        (ValueError(), r"a\.wav: cannot be processed \(ValueError: ValueError\)"),
        (OSError(5, "Input/output error"), r"a\.wav: cannot be processed \(OSError: input/output error\)"),
        (
            UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates"),
            r"a\.wav: cannot be processed \(UnicodeEncodeError",
        ),
    ],
)
def test_what_a_library_raises_becomes_an_error_of_the_recording(error, message):
    with pytest.raises(AudioError, match=message), as_audio_error("a.wav"):
        raise error


@pytest.mark.parametrize("error", [UsageError("unknown language"), AudioError("b.wav: empty"), KeyboardInterrupt()])
def test_errors_of_ones_own_and_interrupts_pass(error):
    with pytest.raises(type(error)) as caught, as_audio_error("a.wav"):
        raise error
    assert caught.value is error


def test_nothing_is_raised_where_nothing_was():
    with as_audio_error("a.wav"):
        done = True
    assert done


def test_a_reason_is_one_line():
    assert reason_of(ValueError("Two\nlines.")) == "two lines"
