from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allophone.audio.decode import load_audio
from allophone.audio.windows import Cut, clip_spans, longest_pause, pack_spans, speech_spans, split_windows
from allophone.corpora.corpus import open_corpus

LIMIT, PACK = 100, 60


@st.composite
def speech(draw):
    """Spans in order without overlap, some touching, some longer than the limit."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 150), st.integers(1, 350)), max_size=12))
    spans, place = [], 0
    for pause, length in lengths:
        spans.append((place + pause, place + pause + length))
        place += pause + length
    return spans


@given(speech())
def test_windows_cover_all_speech_once_within_the_limit(spans):
    windows = pack_spans(spans, LIMIT, PACK)
    assert all(0 < end - start <= LIMIT for start, end in windows)
    assert all(end <= start for (_, end), (start, _) in pairwise(windows))
    covered = {sample for start, end in windows for sample in range(start, end)}
    assert {sample for start, end in spans for sample in range(start, end)} <= covered


@given(speech())
def test_no_two_neighbours_would_fit_in_one_window(spans):
    short = [(start, end) for start, end in spans if end - start <= LIMIT]
    windows = pack_spans(short, LIMIT, PACK)
    assert all(second[1] - first[0] > PACK for first, second in pairwise(windows))
    assert {edge for window in windows for edge in window} <= {edge for span in short for edge in span}


@pytest.mark.parametrize(
    ("spans", "windows"),
    [
        ([], []),
        ([(10, 110)], [(10, 110)]),
        ([(0, 40), (50, 100)], [(0, 100)]),
        ([(0, 40), (50, 101)], [(0, 40), (50, 101)]),
        ([(0, 250)], [(0, 83), (83, 166), (166, 250)]),  # thirds
    ],
)
def test_packing(spans, windows):
    assert pack_spans(spans, LIMIT, LIMIT) == windows


def test_stretches_share_a_shorter_window_than_one_may_fill_alone():
    assert pack_spans([(0, 20), (25, 60), (70, 160), (165, 170)], LIMIT, PACK) == [(0, 60), (70, 160), (165, 170)]


def test_spans_are_clipped_and_counted_from_the_cut():
    assert clip_spans([(0, 10), (10, 30), (40, 50), (60, 70)], 20, 60) == ((0, 10), (20, 30))


@pytest.mark.parametrize(
    ("spans", "cut"),
    [
        ([], None),
        ([(5, 40)], None),
        ([(0, 10), (14, 30), (36, 50), (54, 60)], 33),  # the pause of 6
        ([(0, 10), (14, 30), (34, 50)], 12),  # the first of two alike
        ([(0, 10), (10, 30)], 10),  # a search that pads its spans may leave none of the pause
    ],
)
def test_the_longest_pause(spans, cut):
    assert longest_pause(spans) == cut


def test_audio_that_fits_stays_whole():
    assert split_windows(np.zeros(480_000, np.float32), 30.0) == [Cut(0, 480_000)]
    assert split_windows(np.zeros(1_600, np.float32), 30.0) == [Cut(0, 1_600)]


@pytest.mark.parametrize("n_samples", [0, 1, 1_599])
def test_audio_shorter_than_any_word_has_no_window(n_samples):
    assert split_windows(np.full(n_samples, 0.1, np.float32), 30.0) == []


def test_long_silence_gives_no_window():
    assert split_windows(np.zeros(480_001, np.float32), 30.0) == []


def test_cuts_fall_into_the_pauses_between_sentences(speech):
    pause = np.zeros(11_200, np.float32)  # 0.7 s
    parts, spoken, place = [], [], 0
    for recording in speech * 2:
        spoken.append((place, place + recording.samples.size))
        parts += [recording.samples, pause]
        place += recording.samples.size + pause.size
    windows = split_windows(np.concatenate(parts), 12.0)
    assert len(windows) >= place / (12 * 16_000)
    assert all(cut.end - cut.start <= 192_000 for cut in windows)
    assert all(0 <= start < end <= cut.end - cut.start for cut in windows for start, end in cut.speech)
    for edge in {edge for cut in windows for edge in (cut.start, cut.end)}:
        # 0.3 s inside a sentence is its silent beginning or end
        assert not any(start + 4_800 < edge < end - 4_800 for start, end in spoken), edge / 16_000


def test_speech_is_found_where_it_is(speech):
    silence = np.zeros(160_000, np.float32)  # 10 s
    spans = speech_spans(np.concatenate([silence, speech[0].samples, silence]), 30.0)
    assert spans[0][0] == pytest.approx(160_000, abs=8_000)
    assert spans[-1][1] == pytest.approx(160_000 + speech[0].samples.size, abs=8_000)


def test_audio_is_searched_piece_by_piece(speech, monkeypatch):
    pause = np.zeros(11_200, np.float32)
    samples = np.concatenate([part for recording in speech * 2 for part in (recording.samples, pause)])  # 65 s
    whole = split_windows(samples, 6.0)
    for piece_s in (13, 20, 40):
        monkeypatch.setattr("allophone.audio.windows._PIECE", piece_s * 16_000)
        pieces = split_windows(samples, 6.0)
        assert all(0 < cut.end - cut.start <= 96_000 for cut in pieces)
        assert all(first.end <= second.start for first, second in pairwise(pieces))
        # Nothing that is speech in one search is silence in the other, but for 0.1 s at an edge.
        covered = [np.zeros(samples.size, bool), np.zeros(samples.size, bool)]
        for mask, windows in zip(covered, (whole, pieces), strict=True):
            for cut in windows:
                mask[cut.start : cut.end] = True
        assert (covered[0] != covered[1]).sum() < 1_600 * len(whole)


def test_long_silence_between_pieces_is_passed_over(speech, monkeypatch):
    monkeypatch.setattr("allophone.audio.windows._PIECE", 10 * 16_000)
    silence = np.zeros(35 * 16_000, np.float32)
    samples = np.concatenate([speech[0].samples, silence, speech[1].samples, silence])
    windows = split_windows(samples, 5.0)
    second = speech[0].samples.size + silence.size
    assert len(windows) == 2
    assert windows[0].start < 8_000
    assert windows[1].start == pytest.approx(second, abs=8_000)


@pytest.mark.real_data
def test_real_speech_is_cut_where_it_is_quiet(real_speech):
    corpus = open_corpus(real_speech / "librispeech-test-other")
    samples = np.concatenate([load_audio(utterance.audio_filepath) for utterance in corpus])  # 6.5 minutes
    windows = split_windows(samples, 30.0)
    assert all(cut.end - cut.start <= 480_000 for cut in windows)
    edges = [cut.end for cut in windows[:-1]] + [cut.start for cut in windows[1:]]
    loudness = [np.sqrt(np.mean(samples[edge - 400 : edge + 400] ** 2)) for edge in edges]  # 50 ms
    assert np.median(loudness) < 0.2 * np.sqrt(np.mean(samples**2))
