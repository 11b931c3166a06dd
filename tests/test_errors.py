import inspect

import pytest

from allophone import errors
from allophone.errors import AllophoneError, MissingExtraError, UsageError


def test_all_names_are_sorted_and_are_errors():
    assert errors.__all__ == sorted(errors.__all__)
    assert all(issubclass(getattr(errors, name), AllophoneError) for name in errors.__all__)


def test_no_error_is_left_out():
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_the_docstring_draws_the_tree(name):
    error = getattr(errors, name)
    (line,) = (line for line in errors.__doc__.splitlines() if f" {name} " in line.replace("── ", " ") + " ")
    # A branch deeper in the tree is indented by four more characters: "├── " or "│   ├── ".
    depth = len(error.__mro__) - AllophoneError.__mro__.__len__()
    assert line.index(name) == 4 * (depth + 1)


@pytest.mark.parametrize("name", errors.__all__)
def test_a_wrong_request_exits_with_2_a_missed_limit_with_3_and_a_failure_with_1(name):
    error = getattr(errors, name)
    assert error.exit_code == (2 if issubclass(error, UsageError) else 3 if name == "InfeasibleError" else 1)


def test_a_missing_extra_names_the_command():
    error = MissingExtraError("datasets", "datasets", "pip install datasets")
    assert str(error) == "datasets is not installed. Install it with: pip install datasets"
    assert (error.package, error.extra) == ("datasets", "datasets")
