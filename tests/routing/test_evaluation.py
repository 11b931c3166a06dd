import json

import pytest

from allophone.routing.evaluation import evaluate_policy
from allophone.routing.samples import read_route_samples
from route_runs import BASE, TINY


@pytest.fixture(scope="module")
def found(trained, seen, unseen):
    return evaluate_policy(trained, [unseen, seen], n_replicates=200)


def test_all_runs_together_and_each_alone(found, unseen):
    assert [(item.name, item.n_utterances) for item in found.results] == [("all", 150), ("r", 120), ("r", 30)]
    assert found.left_out == 90


def test_a_policy_stands_beside_its_points_and_weak_baselines(found, unseen):
    result = found.results[1]
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    assert [point[0] for point in result.fixed] == [TINY.name, BASE.name]
    assert result.fixed[0][1] == samples.errors[0].sum() / samples.weights.sum()
    assert [item.name for item in result.flops] == ["cascade", "duration", "-duration", "random"]
    assert result.flops[0].share > max(item.share for item in result.flops[1:])
    assert {point[0] for point in result.frontier} == {TINY.name, BASE.name}
    assert result.break_even_flops == pytest.approx(0.75, abs=0.01)


def test_the_threshold_is_where_the_policy_stands(found):
    at = found.results[1].policy
    assert at.threshold == 0
    assert at.wer.low <= at.wer.estimate <= at.wer.high
    assert 0 < at.share_escalated <= 1
    assert at.gflops.estimate / found.results[1].fixed[1][2] == pytest.approx(at.flops_of_last)


def test_published_metrics_stand_for_every_router(found):
    fields = json.loads(found.to_json())["results"][1]["router_metrics"]
    assert [row["router"] for row in fields["routers"]] == ["cascade", "duration", "-duration", "random"]
    for row in fields["routers"]:
        for name in ("aiq", "apgr", "cpt50", "flops_saved", "seconds_saved_at_gap"):
            value, low, high = row[name]
            assert low <= value <= high
    assert fields["routers"][0]["apgr"][0] > max(row["apgr"][0] for row in fields["routers"][1:])
    assert json.loads(found.to_json())["results"][1]["against_flops"]["routers"][3]["p_above_chance"] is None


def test_json_holds_no_number_that_json_has_not(found):
    fields = json.loads(found.to_json())
    assert len(fields["results"]) == 3
    first = fields["results"][0]
    assert len(first["against_flops"]["cost"]) == len(first["against_flops"]["routers"][0]["wer"]) == 41
    assert first["at_threshold"]["wer"][0] == pytest.approx(found.results[0].policy.wer.estimate, rel=1e-5)
