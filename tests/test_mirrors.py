"""Every source module has the test file that mirrors it, but for the few named here: that list may only shrink."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, TESTS = ROOT / "src" / "allophone", ROOT / "tests"
# By module, the tests that stand in for its own. A new module gets a file; a line here may only go.
ELSEWHERE: dict[str, str] = {
    "arrays.py": "types alone: mypy checks them",
    "cli/adapt_context.py": "cli/test_adapt.py",
    "cli/engine_options.py": "cli/test_help.py",
    "cli/demo.py": "test_readme.py",
    "cli/doctor.py": "cli/test_cli.py",
    "cli/report.py": "cli/test_cli.py",
    "cli/route_emotion.py": "routing/test_emotion.py",
    "costs/reproduction.py": "costs/test_published.py",
    "costs/selection.py": "costs/test_decider.py",
    "emotion/card.py": "emotion/test_store.py",
    "frontier/samples.py": "frontier/test_recognition.py",
    "model_cost.py": "cli/test_cost.py",
    "records/measurement.py": "ledger/test_readers.py",
    "records/utterance.py": "corpora/test_manifest.py",
    "serve/form.py": "serve/test_faults.py",
    "serve/metrics.py": "serve/test_app.py",
    "serve/open_requests.py": "serve/test_faults.py",
    "serve/replies.py": "serve/test_app.py",
    "serve/service.py": "serve/test_faults.py",
    "serve/settings.py": "serve/test_faults.py",
    "version.py": "test_exported_members.py",
}


def modules():
    return [
        path.relative_to(SOURCE)
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]


def mirror(module):
    return TESTS / module.with_name(f"test_{module.name}")


def test_every_module_has_its_mirror():
    missing = {module.as_posix() for module in modules() if not mirror(module).is_file()}
    assert missing == set(ELSEWHERE)


def test_what_stands_in_is_there():
    named = [tests for tests in ELSEWHERE.values() if tests.endswith(".py")]
    assert all((TESTS / tests).is_file() for tests in named)
