import pytest

from allophone.corpora.corpus import open_corpus
from allophone.errors import CorpusError, LedgerError
from allophone.sweeps.recognition.references import (
    REFERENCES_FILE,
    reference_point,
    require_references,
    transcribe_references,
    with_references,
)
from allophone.sweeps.recognition.worker import Settings
from builders import write_tones


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """A corpus of four tones without a transcript."""
    return open_corpus(write_tones(tmp_path_factory.mktemp("silent"), n=4, references=False))


def transcribe(corpus, folder):
    done = []
    transcribe_references(corpus, 4, reference_point("fake:tiny"), folder, Settings(threads=1), done.append)
    return done


def test_a_corpus_without_transcripts_is_named_with_its_remedy(silent):
    with pytest.raises(CorpusError, match=r"utterance 'u0' has no reference.*--reference-model base"):
        require_references(silent)


def test_a_model_stands_in_and_a_torn_line_is_made_again(silent, tmp_path):
    assert transcribe(silent, tmp_path) == [1, 2, 3, 4]
    path = tmp_path / REFERENCES_FILE
    whole = path.read_bytes()
    texts = [utterance.text for utterance in with_references(silent, tmp_path)]
    assert all(texts)
    path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 5])  # killed within the fourth line
    assert transcribe(silent, tmp_path) == [4]
    assert path.read_bytes() == whole
    assert transcribe(silent, tmp_path) == []  # nothing is left to do


def test_a_damaged_line_is_refused_by_its_number(silent, tmp_path):
    (tmp_path / REFERENCES_FILE).write_text('{"index": 0, "text": "a"}\nnonsense\n')
    with pytest.raises(LedgerError, match=r"references\.jsonl: line 2 is damaged"):
        list(with_references(silent, tmp_path))
