import json

import numpy as np
import pytest

from allophone.corpora.corpus import open_corpus
from allophone.corpora.speakers import (
    INFERRED_BY,
    SPEAKERS_FILE,
    THRESHOLD,
    InferredCorpus,
    cluster_voices,
    infer_speakers,
    name_speakers,
)
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance
from builders import write_tones

scipy = pytest.importorskip("scipy")


def voice(angle):
    """A voice in a plane: the cosine distance of two is 1 - cos of the angle between them."""
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def utterances(speakers):
    return [Utterance(id=f"u{i}", audio_filepath=f"{i}.wav", speaker=speaker) for i, speaker in enumerate(speakers)]


def test_near_voices_are_one_cluster_and_far_ones_are_not():
    # 0.1 rad is a distance of 0.005, 1.2 rad one of 0.64
    clusters = cluster_voices(np.array([voice(0), voice(1.2), voice(0.1), voice(1.3)]))
    assert clusters[0] == clusters[2] != clusters[1] == clusters[3]
    assert len(set(cluster_voices(np.array([voice(0), voice(0.1)]), 0.001))) == 2
    assert cluster_voices(np.zeros((0, 2))).tolist() == []
    assert cluster_voices(np.array([voice(0)])).tolist() == [0]


def test_linkage_is_the_average_over_all_pairs():
    # from 0 and 0.6 to 1.0: 1 - cos is 0.460 and 0.079, 0.269 on average; the nearest pair alone would be below 0.2
    voices = np.array([voice(0), voice(0.6), voice(1.0)])
    assert len(set(cluster_voices(voices, 0.18))) == 2
    assert len(set(cluster_voices(voices, 0.35))) == 1


def test_nameless_recordings_are_named_by_voice_and_short_ones_stand_alone():
    found = name_speakers(utterances([None] * 4), [voice(0), voice(1.4), None, voice(0.05)])
    assert found.speakers["u0"] == found.speakers["u3"] == "inferred-1"
    assert found.speakers["u1"] == "inferred-2"
    assert found.speakers["u2"] is None
    assert (found.n_inferred, found.named, found.joined) == (2, 0, 0)
    assert found.describe() == (
        f"4 utterances name no speaker: 2 speakers inferred from their voices; 1 with too little speech stand alone "
        f"({INFERRED_BY})."
    )


def test_named_speakers_win_and_take_only_what_is_near():
    named = ["anna", "anna", "bert", None, None, "inferred-1"]
    angles = [0.0, 1.5, 0.02, 0.03, 2.9, 4.4]  # anna's own recordings are far apart, bert's is as near as can be
    found = name_speakers(utterances(named), [voice(angle) for angle in angles])
    assert set(found.speakers) == {"u3", "u4"}
    assert found.speakers["u3"] == "bert"
    assert found.speakers["u4"] == "inferred-2"  # the corpus has an 'inferred-1' of its own
    assert (found.named, found.joined, found.n_inferred) == (4, 1, 1)
    assert "1 utterances joined to speakers whom the corpus names; 4 keep" in found.describe()


@pytest.fixture
def nameless(tmp_path):
    manifest = write_tones(tmp_path / "corpus", n=4)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows[1:]:
        del row["speaker"]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    return open_corpus(manifest)


def keep(folder, speakers, by=INFERRED_BY):
    folder.mkdir(exist_ok=True)
    fields = {"inferred_by": by, "named": 1, "joined": 0, "speakers": speakers}
    (folder / SPEAKERS_FILE).write_text(json.dumps(fields))


def test_what_a_run_holds_is_not_inferred_again(nameless, tmp_path):
    keep(tmp_path / "r", {"u1": "inferred-1", "u2": "inferred-1", "u3": None})
    found = infer_speakers(nameless, tmp_path / "r")  # the encoder would have to be loaded
    corpus = InferredCorpus(nameless, found)
    assert [utterance.speaker for utterance in corpus] == ["s0", "inferred-1", "inferred-1", None]
    assert [utterance.id for utterance in corpus] == [utterance.id for utterance in nameless]


def test_speakers_of_another_corpus_or_encoder_are_refused(nameless, tmp_path):
    keep(tmp_path / "r", {"u1": None})
    with pytest.raises(CorpusError, match=r"speakers\.json: field 'speakers' does not fit"):
        infer_speakers(nameless, tmp_path / "r")
    keep(tmp_path / "r", {"u1": None, "u2": None, "u3": None}, by="another")
    with pytest.raises(CorpusError, match="field 'inferred_by' is 'another'"):
        infer_speakers(nameless, tmp_path / "r")
    (tmp_path / "r" / SPEAKERS_FILE).write_text("{")
    with pytest.raises(CorpusError, match="not valid JSON"):
        infer_speakers(nameless, tmp_path / "r")


def test_the_threshold_is_the_one_that_is_named():
    assert f"{THRESHOLD:g}" in INFERRED_BY
