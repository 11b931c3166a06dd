import numpy as np
import pytest

from allophone.adapt.windows import draw_windows, hold_out, validation_windows
from allophone.audio.mel import TRAINED_FRAMES
from allophone.corpora.corpus import open_corpus
from allophone.errors import UsageError
from builders import write_tones, write_wav


def test_speakers_are_held_apart(tones):
    speakers = hold_out(open_corpus(tones), 2, seed=0)
    train, held = ({utterance.speaker for utterance in part} for part in (speakers.train, speakers.held_out))
    assert train.isdisjoint(held)
    assert held == set(speakers.held_out_speakers)
    assert (len(train), len(held), len(speakers.train) + len(speakers.held_out)) == (2, 2, 12)


def test_held_out_speakers_depend_on_the_seed_alone(tones, tmp_path):
    chosen = {hold_out(open_corpus(tones), 1, seed=seed).held_out_speakers for seed in range(20)}
    assert len(chosen) == 4
    more = write_tones(tmp_path, n=20, n_speakers=4)  # the same four speakers, more utterances
    for seed in range(5):
        expected = hold_out(open_corpus(tones), 1, seed=seed).held_out_speakers
        assert hold_out(open_corpus(more), 1, seed=seed).held_out_speakers == expected


def test_too_few_speakers_are_refused(tones):
    with pytest.raises(UsageError, match=r"has 4 speakers, so 4 cannot be held out"):
        hold_out(open_corpus(tones), 4, seed=0)


def test_an_utterance_without_speaker_is_its_own(tmp_path):
    for index in range(3):
        write_wav(tmp_path / f"u{index}.wav", np.zeros(16_000))
    speakers = hold_out(open_corpus(tmp_path), 1, seed=0)
    assert len(speakers.held_out) == 1
    assert speakers.held_out_speakers[0].startswith("utterance u")


def test_windows_depend_on_seed_and_step_alone(tones):
    utterances = list(open_corpus(tones))

    def drawn(step, seed):
        windows = draw_windows(utterances, step, n=6, margin_s=1.0, seed=seed)
        return [(window.name, window.frames, window.samples.tobytes()) for window in windows]

    assert drawn(3, 0) == drawn(3, 0)
    assert drawn(3, 0) != drawn(4, 0)
    assert drawn(3, 0) != drawn(3, 1)


def test_windows_are_cuts_whole_utterances_and_anchors(tones):
    utterances = list(open_corpus(tones))
    windows = [window for step in range(25) for window in draw_windows(utterances, step, n=8, margin_s=0.5, seed=0)]
    sizes = {utterance.id: round((1.0 + 0.3 * (int(utterance.id[1:]) % 5)) * 16_000) for utterance in utterances}
    silent = [window for window in windows if not window.samples.size]
    anchors = [window for window in windows if window.frames == TRAINED_FRAMES]
    cut = [window for window in windows if 0 < window.samples.size < sizes.get(window.name, 0)]
    # Of 200 windows a sixteenth are anchors, half of those silent; half are cuts where there is room above 1 s.
    assert 4 <= len(anchors) <= 25
    assert 1 <= len(silent) <= 15
    assert set(map(id, silent)) < set(map(id, anchors))
    assert 45 <= len(cut) <= 110
    for window in windows:
        if window.samples.size:
            assert 16_000 <= window.samples.size <= sizes[window.name]
        if window.frames != TRAINED_FRAMES:
            # Audio and 0.5 s, rounded up to 20 ms.
            assert window.frames % 2 == 0
            assert 0 <= window.frames * 160 - window.samples.size - 8000 < 320


def test_a_recording_longer_than_the_context_is_cut(tmp_path):
    write_wav(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 35 * 16_000))
    utterances = list(open_corpus(tmp_path))
    for step in range(5):
        for window in draw_windows(utterances, step, n=2, margin_s=2.0, seed=0):
            assert window.samples.size <= 28 * 16_000
            assert window.frames <= TRAINED_FRAMES


def test_validation_is_fixed_and_without_anchors(tones):
    utterances = list(open_corpus(tones))
    first, second = (validation_windows(utterances, margin_s=1.0, seed=0) for _ in range(2))
    assert [window.name for window in first] == [window.name for window in second]
    assert sorted(window.name for window in first) == sorted(utterance.id for utterance in utterances)
    assert all(window.samples.size and window.frames < TRAINED_FRAMES for window in first)
