"""Commands, options, public names, names of points and exit codes are a promise: more may come, none may go."""

import json
import shutil
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

import allophone
from golden.golden_call import call, command_tree
from golden.golden_shape import missing_or_changed
from golden.make_golden import DATA, SHORT, parameters_of

SENTENCES_SHA256 = "c42e1d22702cd6b216fbf2acc14b206cc5454568e4b3d5a939178355f65155d3"
DEMO_CORPUS_SHA256 = "b1614f7d37ef6e1d2b3a18cc25a9086e92a1be7d5f8e4fb07626896e8e00ed49"

# Names of Python that were changed on purpose; those of files and commands never are.
RENAMED = {"Wish": "CalibrationTarget", "calibrate_policy(wish)": "goal"}


def golden(name):
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def test_every_command_and_option_is_there_with_its_default():
    found = command_tree()
    gone = [f"{verb}: the command is gone" for verb in golden("commands") if verb not in found]
    for verb, parameters in golden("commands").items():
        for name, fields in parameters.items():
            now = found.get(verb, {}).get(name)
            if verb in found and now is None:
                gone.append(f"{verb} {name}: is gone")
            elif now is not None:
                names = [alias for alias in fields["names"] if alias not in now["names"]]
                gone += [f"{verb} {alias}: is gone" for alias in names]
                gone += [
                    f"{verb} {name}: {field} was {fields.get(field)!r}, now {now.get(field)!r}"
                    for field in ("default", "marks")
                    if fields.get(field) != now.get(field)
                ]
    assert not gone, "\n".join(gone)


def test_no_new_option_is_required():
    old = golden("commands")
    new = [
        f"{verb} {name}"
        for verb, parameters in command_tree().items()
        for name, fields in parameters.items()
        if verb in old and name not in old[verb] and "required" in fields.get("marks", [])
    ]
    assert not new


def test_public_names_and_their_parameters():
    gone = []
    for old, parameters in golden("public_names").items():
        name = RENAMED.get(old, old)
        if name not in allophone.__all__:
            gone.append(f"allophone.{name}: is gone")
            continue
        now = parameters_of(getattr(allophone, name))
        kept = [RENAMED.get(f"{old}({parameter})", parameter) for parameter in parameters]
        gone += [f"allophone.{name}: parameter {parameter} is gone" for parameter in kept if parameter not in now]
    assert not gone, "\n".join(gone)


def test_names_of_points():
    points = golden("point_names")
    assert len({point["name"] for point in points}) > 35
    for point in points:
        assert allophone.OperatingPoint(**point["fields"]).name == point["name"], point["fields"]


def test_names_of_emotion_settings(old, tmp_path):
    """A setting is found by the name of its file: a run of many, whose rows are those of one, is read whole."""
    from pyarrow import array
    from pyarrow.parquet import read_table, write_table

    depths = {
        "frozen": (0, 0),
        "r8": (8, 0),
        "top1": (0, 1),
        "all": (0, "all"),
        "r8-top2": (8, 2),
        "r8-all": (8, "all"),
    }
    models = {"encoders/small": "small@2d28c905", "tiny.en": "tiny.en", "/srv/models/short": "short@45eb18c8"}
    knobs = ("model", "duration_s", "lora_rank", "unfrozen_layers")
    settings = {
        f"{slug}-{seconds:g}s-{depth}": dict(zip(knobs, (model, seconds, *below), strict=True))
        for (model, slug), seconds, (depth, below) in product(models.items(), (0.1, 3.0, 30.0), depths.items())
    }
    run = Path(shutil.copytree(old / "runs/emotion", tmp_path / "run"))
    fields = json.loads((run / "run.json").read_text(encoding="utf-8"))
    recipe = fields["recipes"][SHORT]
    fields |= {"points": list(settings.values()), "recipes": dict.fromkeys(settings, recipe)}
    (run / "run.json").write_text(json.dumps(fields), encoding="utf-8")
    units = [json.loads(line) for line in (run / "units.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps({**unit, "point": name}) for name in settings for unit in units if unit["point"] == SHORT]
    (run / "units.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (run / "twin.jsonl").unlink()
    rows = read_table(run / f"measurements/{SHORT}.parquet")
    shutil.rmtree(run / "measurements")
    (run / "measurements").mkdir()
    for name in settings:
        points = array([name] * len(rows), rows.schema.field("point").type)
        write_table(rows.set_column(0, rows.schema.field("point"), points), run / f"measurements/{name}.parquet")
    shown = call(tmp_path, "frontier", "run", "--cost", "training_gflops", "--json")
    assert shown.code == 0, shown.stderr
    found = {point["name"]: point["point"] for point in json.loads(shown.stdout)["points"]}
    assert found == settings


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (0, "frontier runs/speech"),
        (0, "--version"),
        (0, "route train --help"),
        (1, "frontier runs/none"),
        (1, "law runs/speech"),
        (1, "transcribe --point point.json none.wav"),
        (2, "sweep none.jsonl --models fake:tiny --out runs/new"),
        (2, "frontier"),
        (2, "frontier runs/speech --colour blue"),
        (2, "sing"),
        (2, "frontier runs/speech --cost beauty"),
        (2, "frontier runs/speech --confidence 2"),
        (2, "recommend runs/speech --minimise beauty"),
        (2, "recommend runs/emotion --max-wer 5"),
        (2, "law runs/emotion"),
        (2, "cost huge.en"),
        (2, "transcribe --point emotion-point.json a.wav"),
        (2, "sweep corpora/short/manifest.jsonl --models fake:tiny --axis beam_size=0 --out runs/new"),
        (2, "sweep corpora/short/manifest.jsonl --models fake:tiny --plan spiral --out runs/new"),
        (3, "recommend runs/speech --max-rtf 1e-9"),
        (3, "recommend runs/emotion --max-gflops 1e-9"),
    ],
)
def test_exit_codes(old, code, command):
    done = call(old, *command.split())
    assert done.code == code, done.stderr
    assert (code == 0) == (not done.stderr.startswith(("allophone: ", "Usage: ")))
    assert not (old / "runs/new/run.json").exists()


def test_the_demo_corpus_says_what_it_said():
    """Its bytes are tested where it is made; here that sentences and digest are still those of before."""
    package = Path(allophone.__file__).parent
    assert SENTENCES_SHA256 in {sha256(path.read_bytes()).hexdigest() for path in package.rglob("*.txt")}
    assert any(DEMO_CORPUS_SHA256 in path.read_text(encoding="utf-8") for path in package.rglob("*.py"))


def test_what_may_change_and_what_not():
    """The comparison itself: more fields are fine, a field that is gone, another type or figure is not."""
    golden_fields = {"wer": 0.5, "notices": ["Only 3 speakers."], "points": [{"name": "a"}]}
    more = {"wer": 0.5, "notices": ["Three speakers only.", "Other work ran."], "points": [{"name": "a", "new": 1}]}
    assert not list(missing_or_changed(golden_fields, more))
    for changes in ({"wer": 0.6}, {"wer": "0.5"}, {"points": [{"name": "b"}]}, {"points": []}, {"points": [{}]}):
        assert len(list(missing_or_changed(golden_fields, {**more, **changes}))) == 1
    assert [*missing_or_changed(golden_fields, {"points": [{"title": "a"}]}, values=False)] == [
        ".wer: is gone; there are points",
        ".notices: is gone; there are points",
        ".points[].name: is gone; there are title",
    ]
