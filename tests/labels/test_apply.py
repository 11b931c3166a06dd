from pathlib import Path

import pytest

from allophone.errors import UsageError
from allophone.frontier.pareto import Frontier
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.labels.apply import apply_transcripts, refuse_policies
from allophone.labels.draw import DRAW_FILE, draw_utterances
from allophone.labels.transcripts import Row, write_transcripts
from labelled_runs import FAST, SLOW, write_relative_run


@pytest.fixture
def said(tmp_path):
    return write_relative_run(tmp_path / "r")


@pytest.fixture
def run(tmp_path, said):
    draw_utterances(summarise_run(tmp_path / "r"), tmp_path / "r")
    return tmp_path / "r"


def fill(run, said, n, *, leave=()):
    """The first n lines, filled but for those whose place is in ``leave``."""
    ranked = draw_utterances(summarise_run(run), run).ranked()
    rows = [Row(name, "", "" if place in leave else said[name]) for place, name in enumerate(ranked[:n])]
    write_transcripts(run / "t.csv", rows)
    return run / "t.csv"


def test_all_transcripts_give_the_true_rates_and_turn_the_choice(run, said):
    relative = summarise_run(run)
    assert [point.wer for point in relative.points] == pytest.approx([(15 + 20) / 600, 0])
    found = apply_transcripts(relative, run, fill(run, said, 60))
    assert [point.wer for point in found.points] == pytest.approx([15 / 600, 20 / 600])
    assert recommend(relative, minimise="wer").chosen.name == SLOW.name
    assert recommend(found, minimise="wer").chosen.name == FAST.name


def test_thirty_transcripts_hold_the_true_rates_and_say_wer(run, said):
    found = apply_transcripts(summarise_run(run), run, fill(run, said, 30))
    frontier = Frontier.from_summary(found)
    assert frontier.run.run.quality_name == "WER"
    for name, rate in ((FAST.name, 15 / 600), (SLOW.name, 20 / 600)):
        point = next(point for point in frontier.points if point.name == name)
        assert point.intervals["wer"].contains(rate)
        assert point.intervals["wer"].low >= 0
        assert point.summary.wer == point.intervals["wer"].estimate
    assert "30 human transcripts" in found.notices[0]
    assert found.transcripts_sha256[:12] in found.notices[0]
    assert not any("not WER" in notice for notice in found.notices)
    assert frontier.to_dict()["transcripts_sha256"] == found.transcripts_sha256


def test_the_run_s_normaliser_is_used(run, said):
    shouted = {name: text.upper() + "!" for name, text in said.items()}
    found = apply_transcripts(summarise_run(run), run, fill(run, shouted, 60))
    assert [point.wer for point in found.points] == pytest.approx([15 / 600, 20 / 600])


def test_gaps_are_said_and_what_comes_behind_the_last_transcript_is_no_gap(run, said):
    found = apply_transcripts(summarise_run(run), run, fill(run, said, 30, leave={3, 5, 28, 29}))
    assert "26 human transcripts" in found.notices[0]
    assert any(notice.startswith("2 utterances drawn before the last") for notice in found.notices)
    assert any(notice.startswith("2 empty lines behind the last") for notice in found.notices)
    stopped = apply_transcripts(summarise_run(run), run, fill(run, said, 28))
    whole = apply_transcripts(summarise_run(run), run, fill(run, said, 30, leave={28, 29}))
    assert stopped.samples.transcribed.estimates == pytest.approx(whole.samples.transcribed.estimates)


def test_an_open_choice_says_how_many_transcripts_would_decide(run, said):
    found = apply_transcripts(summarise_run(run), run, fill(run, said, 12))
    answer = recommend(found, minimise="wer", confidence=0.95)
    assert answer.ties
    more = answer.ties[0].more_transcripts
    text = " ".join(answer.explain())
    if more == float("inf"):
        assert "Transcripts of the other recordings would not decide" in text
    else:
        assert 1 <= more <= 48
        assert f"about {more:.0f} more transcripts" in text


def test_what_does_not_fit_is_refused(run, said, tmp_path):
    csv = fill(run, said, 10)
    (run / DRAW_FILE).rename(tmp_path / "draw")
    with pytest.raises(UsageError, match=r"holds no labelling\.json"):
        apply_transcripts(summarise_run(run), run, csv)
    text = (tmp_path / "draw").read_text()
    (run / DRAW_FILE).write_text(text.replace("f" * 64, "e" * 64))
    with pytest.raises(UsageError, match="measured after the draw"):
        apply_transcripts(summarise_run(run), run, csv)
    with pytest.raises(UsageError, match="cannot be judged by --labels"):
        refuse_policies([Path("p")])
