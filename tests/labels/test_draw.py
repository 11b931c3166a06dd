import json

import pytest

from allophone.errors import LedgerError, UsageError
from allophone.frontier.summarise import summarise_run
from allophone.labels.draw import DRAW_FILE, draw_utterances, read_draw, read_hypotheses
from allophone.ledger.run_record import RUN_FILE
from builders import write_run
from labelled_runs import FAST, SLOW, write_relative_run


@pytest.fixture
def run(tmp_path):
    write_relative_run(tmp_path / "r")
    return tmp_path / "r"


def test_the_first_draw_is_kept_and_found_again(run):
    before = (run / RUN_FILE).read_bytes()
    draw = draw_utterances(summarise_run(run), run, seed=4)
    assert read_draw(run) == draw
    assert draw_utterances(summarise_run(run), run) == draw
    assert sorted(draw.ranked()) == sorted(f"u{index}" for index in range(60))
    assert (run / RUN_FILE).read_bytes() == before


def test_where_hypotheses_disagree_is_drawn_first(run):
    draw = draw_utterances(summarise_run(run), run)
    size = dict(zip(draw.utterances, draw.sizes, strict=True))
    # u0: fast, slow and the big model make 2 pairs of 2 words and one equal; u4 and u3: pairs of 1 word; u1: none
    assert size["u0"] > size["u4"] == pytest.approx(size["u3"])
    assert size["u4"] > 3 * size["u1"] > 0


def test_points_narrow_what_counts_as_disagreement(run):
    draw = draw_utterances(summarise_run(run), run, [SLOW.name])
    assert len(set(draw.sizes)) == 1  # the slow point agrees with the big model everywhere
    assert draw.points == [SLOW.name]


def test_another_draw_is_refused_while_transcripts_may_rest_on_the_first(run):
    draw_utterances(summarise_run(run), run, seed=1)
    with pytest.raises(UsageError, match=r"labelling\.json: drawn with seed 1 .* now asked for with seed 2"):
        draw_utterances(summarise_run(run), run, seed=2)
    with pytest.raises(UsageError, match="delete that file"):
        draw_utterances(summarise_run(run), run, [FAST.name], 1)
    assert draw_utterances(summarise_run(run), run, [SLOW.name, FAST.name], 1).seed == 1


def test_unknown_points_and_runs_with_references_are_refused(run, tmp_path):
    with pytest.raises(UsageError, match="'big' is no point of this run"):
        draw_utterances(summarise_run(run), run, ["big"])
    other = write_run(tmp_path / "own", {FAST: [{}] * 4})
    with pytest.raises(UsageError, match=r"references of its own.*allophone recommend"):
        draw_utterances(summarise_run(other), other)


def test_an_unfinished_run_is_not_drawn_from(tmp_path):
    rows = [{"relative_to": "base", "speaker": f"s{i}"} for i in range(4)]
    run = write_run(tmp_path / "r", {FAST: rows}, n_utterances=5, relative_to="base")
    with pytest.raises(UsageError, match="4 of 5 utterances"):
        draw_utterances(summarise_run(run), run)
    assert not (run / DRAW_FILE).exists()


def test_a_damaged_draw_is_refused(run):
    draw_utterances(summarise_run(run), run)
    fields = json.loads((run / DRAW_FILE).read_text())
    (run / DRAW_FILE).write_text(json.dumps({**fields, "sizes": fields["sizes"][1:]}))
    with pytest.raises(LedgerError, match=r"labelling\.json: field 'sizes'"):
        read_draw(run)
    (run / DRAW_FILE).write_text("{")
    with pytest.raises(LedgerError, match="not valid JSON"):
        read_draw(run)


def test_hypotheses_are_those_of_every_point(run):
    found = read_hypotheses(run, ["u0"])["u0"]
    assert found.of[SLOW.name] == found.reference
    assert found.of[FAST.name].split()[1] == "orange"
