"""``sweep`` of speech recognition through its parser, with engines that compute nothing."""

import re

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import AllophoneError, UsageError
from builders import write_tones

STRIDE = ("--axis", "context=full", "--axis", "beam_size=1", "--axis")


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("c"), n=2)


def sweep(corpus, out, *options):
    given = ("sweep", corpus, "--models", "fake:tiny", "--out", out, *STRIDE, *options)
    return CliRunner().invoke(app, [str(part) for part in given])


def test_an_extension_is_planned_with_the_points_that_the_run_has(corpus, tmp_path):
    assert sweep(corpus, tmp_path / "r", "token_stride=1,2").exit_code == 0
    alone = sweep(corpus, tmp_path / "r", "token_stride=4", "--dry-run")
    assert "star: 1 points x 2 utterances" in alone.stdout
    added = sweep(corpus, tmp_path / "r", "token_stride=4", "--dry-run", "--extend")
    assert "star: 3 points x 2 utterances" in added.stdout
    strides = [re.findall(r"stride (\d)", line) for line in added.stdout.splitlines() if "fake.tiny, " in line]
    assert strides == [[], ["2"], ["4"], ["2"]]  # what is measured again stays
    done = sweep(corpus, tmp_path / "r", "token_stride=4", "--extend")
    assert "3 points, 6 rows in" in done.stdout


def test_a_saved_point_is_measured_again(corpus, tmp_path):
    assert sweep(corpus, tmp_path / "r", "token_stride=2").exit_code == 0
    saved, again = tmp_path / "point.json", tmp_path / "again"
    invoke = CliRunner().invoke
    assert invoke(app, ["recommend", str(tmp_path / "r"), "--out", str(saved)]).exit_code == 0
    done = invoke(app, ["sweep", str(corpus), "--point", str(saved), "--out", str(again)])
    assert "1 points, 2 rows" in done.stdout
    assert [path.stem for path in (again / "measurements").iterdir()] == ["fake.tiny-full-s2-int8-b1"]
    error = sweep(corpus, tmp_path / "x", "token_stride=2", "--point", saved).exception
    assert isinstance(error, UsageError)
    assert "--models does not go with --point" in str(error)


@pytest.mark.parametrize("plan", ["star", "grid", "isoflop"])
def test_a_cost_that_no_search_judges_by_is_refused(corpus, tmp_path, plan):
    done = sweep(corpus, tmp_path / "r", "token_stride=1", "--plan", plan, "--cost", "executed_gflops")
    assert isinstance(done.exception, UsageError)
    assert f"--cost is what a search judges points by; --plan {plan} measures every cost" in str(done.exception)
    assert not (tmp_path / "r").exists()


FOREIGN = [
    ("--trials", 3, "star", "joint"),
    ("--trials", 3, "race", "joint"),
    ("--storage", "sqlite:///s.db", "grid", "joint"),
    ("--max-rtf", 1, "race", "joint"),
    ("--max-gflops", 1, "star", "joint"),
    ("--spend", 0.5, "star", "race and joint"),
    ("--spend", 0.5, "isoflop", "race and joint"),
]


@pytest.mark.parametrize(("option", "value", "plan", "owner"), FOREIGN, ids=[f"{f[0]} {f[2]}" for f in FOREIGN])
def test_an_option_that_the_plan_does_not_read_is_refused(corpus, tmp_path, option, value, plan, owner):
    done = sweep(corpus, tmp_path / "r", "token_stride=1", "--plan", plan, option, value)
    assert isinstance(done.exception, UsageError)
    assert f"{option} is for --plan {owner}; --plan {plan} does not read it" in str(done.exception)
    assert not (tmp_path / "r").exists()


def test_a_dry_run_counts_the_pass_that_makes_the_references(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2, references=False)
    done = sweep(manifest, tmp_path / "r", "token_stride=1,2", "--dry-run", "--reference-model", "fake:base")
    assert "star: 2 points x 2 utterances" in done.stdout
    rows = [re.split("  +", line)[0] for line in done.stdout.splitlines() if "context" in line]
    plain = "fake.tiny, full context"
    measured = [plain, f"{plain}, stride 2", f"{plain}, stride 2, again"]
    assert rows == ["references: fake.base, full context, beam 5", *measured]
    assert not (tmp_path / "r").exists()
    gone = sweep(manifest, tmp_path / "r", "token_stride=1", "--dry-run", "--reference-model", "no-such-model")
    assert isinstance(gone.exception, UsageError)
    assert "no-such-model" in str(gone.exception)
    none = sweep(manifest, tmp_path / "r", "token_stride=1", "--dry-run")
    assert "has no reference" in str(none.exception)


@pytest.mark.parametrize("line", ["garbage", "null", "[]", "{}", "[" * 100_000])
def test_damaged_references_are_named_by_their_line(tmp_path, line):
    manifest = write_tones(tmp_path / "c", n=2, references=False)
    options = ("token_stride=1", "--reference-model", "fake:base")
    assert sweep(manifest, tmp_path / "r", *options).exit_code == 0
    path = tmp_path / "r/references.jsonl"
    whole = path.read_text()
    path.write_text(whole.splitlines(keepends=True)[0] + line + "\n")
    done = sweep(manifest, tmp_path / "r", *options)
    assert "references.jsonl: line 2 is damaged" in str(done.exception)
    path.unlink()
    assert sweep(manifest, tmp_path / "r", *options).exit_code == 0
    assert path.read_text() == whole


@pytest.mark.parametrize(
    ("language", "normalizer"), [("en", "english"), ("de", "basic"), ("ja", "characters"), ("auto", "basic")]
)
def test_the_language_chooses_the_normaliser_and_a_run_keeps_its_own(corpus, tmp_path, language, normalizer):
    from allophone.ledger.run_record import read_run

    done = sweep(corpus, tmp_path / "r", "token_stride=1", "--language", language)
    assert done.exit_code == 0, done.exception
    assert read_run(tmp_path / "r").normalizer == normalizer
    said = f"by the {normalizer} normaliser, as the language is {language}"
    assert (said in done.stderr) == (normalizer != "english")
    assert sweep(corpus, tmp_path / "r", "token_stride=1", "--language", language).exit_code == 0
    given = sweep(corpus, tmp_path / "s", "token_stride=1", "--language", language, "--normalizer", "none")
    assert (given.exit_code, read_run(tmp_path / "s").normalizer) == (0, "none")
    again = sweep(corpus, tmp_path / "s", "token_stride=1", "--language", language)
    assert again.exit_code == 0, again.exception


@pytest.mark.parametrize(("language", "head"), [("en", None), ("de", "CER %"), ("zh", None)])
def test_tables_show_characters_where_words_tell_less(corpus, tmp_path, language, head):
    assert sweep(corpus, tmp_path / "r", "token_stride=1", "--language", language).exit_code == 0
    shown = CliRunner().invoke(app, ["frontier", str(tmp_path / "r")]).stdout
    assert shown.startswith("CER against" if language == "zh" else "WER against")
    assert ("CER %" in shown) == (language != "en")
    assert ("WER %" in shown) == (language != "zh")
    assert (head is None) or head in shown


def test_a_plan_counts_the_point_that_is_measured_again(corpus, tmp_path):
    planned = sweep(corpus, tmp_path / "r", "token_stride=1,4", "--dry-run").stdout
    rows = [re.split("  +", line.strip()) for line in planned.splitlines() if "fake.tiny, full" in line]
    named = ["full context", "full context, stride 4", "full context, stride 4, again"]
    assert [row[0].removeprefix("fake.tiny, ") for row in rows] == named
    assert rows[2][1:3] == rows[1][1:3]
    assert "measured again on 2 utterances" in planned


def test_a_busy_machine_that_is_waited_for_in_vain_ends_with_an_error_that_says_so(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("allophone.sweeps.idle._LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("allophone.sweeps.idle.os.getloadavg", lambda: (9.0, 9.0, 9.0))
    done = sweep(corpus, tmp_path / "r", "token_stride=1", "--wait-for-idle", "0.001")
    assert isinstance(done.exception, AllophoneError)
    assert "not idle for 0.001 minutes (load 9.0" in str(done.exception)
