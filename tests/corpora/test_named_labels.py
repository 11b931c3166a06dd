import pytest

from allophone.corpora.corpus import open_corpus
from allophone.corpora.manifest import read_manifest
from allophone.corpora.named_labels import label_of_name


@pytest.mark.parametrize(
    ("stem", "label", "speaker"),
    [
        ("1001_DFA_ANG_XX", "anger", "1001"),
        ("1040_ITH_SAD_X", "sad", "1040"),  # the published corpus has this name
        ("1091_WSI_NEU_XX", "neutral", "1091"),
        ("03-01-06-01-02-01-12", "fear", "12"),
        ("03-01-02-01-01-01-01", "calm", "01"),
        ("1001_DFA_XYZ_XX", None, "1001"),
        ("03-01-09-01-02-01-12", None, "12"),
        ("84-121-0", None, None),
        ("1001_DFA_ANG_XX_copy", None, None),
        ("x03-01-06-01-02-01-12", None, None),
    ],
)
def test_names(stem, label, speaker):
    assert label_of_name(stem) == (label, speaker)


def test_a_folder_of_either_corpus_is_a_corpus(tmp_path):
    for name in ("AudioWAV/1001_DFA_HAP_LO.wav", "Actor_12/03-01-08-01-02-01-12.wav", "plain.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = {utterance.id: (utterance.label, utterance.speaker) for utterance in open_corpus(tmp_path)}
    assert found == {
        "AudioWAV/1001_DFA_HAP_LO": ("happy", "1001"),
        "Actor_12/03-01-08-01-02-01-12": ("surprise", "12"),
        "plain": (None, None),
    }


def test_the_real_manifest_and_its_file_names_agree(real_speech):
    utterances = list(read_manifest(real_speech / "crema-d/manifest.jsonl"))
    assert len(utterances) > 6000
    for utterance in utterances:
        assert label_of_name(utterance.audio_filepath.stem) == (utterance.label, utterance.speaker)
