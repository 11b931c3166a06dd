"""Defaults of options from a file and from the environment, checked before a verb begins.

The command line wins over variables (``ALLOPHONE_SWEEP_THREADS=4``), these win over ``allophone.toml`` in the working
directory, or the file that ``ALLOPHONE_CONFIG`` names::

    [sweep]
    models = "tiny.en,base"
    threads = 4

    [route.train]
    kind = "decider"
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from allophone.cli.quantities import Quantity
from allophone.errors import UsageError
from allophone.files import load_toml

__all__ = ["CONFIG_FILE", "CONFIG_VARIABLE", "check_variables", "name_origins", "read_defaults", "without_defaults"]

CONFIG_FILE = "allophone.toml"
CONFIG_VARIABLE = "ALLOPHONE_CONFIG"
_REMEDY = "It holds a table per verb, such as [sweep], with options as keys; docs/commands.md lists them."
_ASKED = {bool: "true or false", int: "a whole number", float: "a number", list: "a list", str: "text in quotes"}
_ASKED[Quantity] = "a number, or text such as '300ms' or '1.5GB'"
_TRUTHS = ("1", "0", "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off")


def read_defaults(root: Any) -> dict[str, Any]:
    """Return the defaults in the file of defaults by verb, none where there is no file.

    Args:
        root: The command, with all its verbs.

    Raises:
        UsageError: The file that the variable names does not exist, a file is not TOML, a key is no verb or option, or
            a value has the wrong type; the message names the file, the key and the remedy.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named or CONFIG_FILE)
    if not named and not path.is_file():
        return {}
    return _verbs(load_toml(path, _REMEDY), root, str(path), "")


def _verbs(table: Mapping[str, Any], group: Any, file: str, above: str) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        name = f"{above}{key}"
        if (command := group.commands.get(key)) is None:
            raise UsageError(f"{file}: [{name}]: no such verb{_near(key, group.commands)}. {_REMEDY}")
        if not isinstance(value, Mapping):
            raise UsageError(f"{file}: '{name}' is a verb. Write a table, [{name}], with its options below it.")
        if hasattr(command, "commands"):
            found[key] = _verbs(value, command, file, f"{name}.")
        else:
            found[key] = _options(value, command, f"{file}: [{name}]: ")
    return found


def _options(table: Mapping[str, Any], command: Any, where: str) -> dict[str, Any]:
    kinds = option_kinds(command)
    names = {**_option_names(command), **{name: name for name in kinds}}
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = names.get(key.replace("-", "_"))
        if name is None:
            known = ", ".join(sorted(_option_names(command)))
            raise UsageError(f"{where}no option '{key}'{_near(key.replace('-', '_'), names)}. Known: {known}.")
        if name in found:
            raise UsageError(f"{where}{key} is given twice, once under another name. Leave one out.")
        if not _fits(value, kinds[name]):
            raise UsageError(f"{where}{key} is {value!r}: give {_ASKED[kinds[name]]}.")
        found[name] = value
    return found


def _option_names(command: Any) -> dict[str, str]:
    """Return options as they are typed, without hyphens, with their names in the code: ``--format`` sets ``style``."""
    return {
        flag.lstrip("-").replace("-", "_"): str(item.name)
        for item in command.params
        if item.param_type_name == "option" and item.name != "help"
        for flag in item.opts
        if flag.startswith("--")
    }


def option_kinds(command: Any) -> dict[str, type]:
    """Return what every option of a verb takes: bool, int, float, list, a quantity, or else text."""
    options = {str(item.name) for item in command.params if item.param_type_name == "option"} - {"help"}
    signature = inspect.signature(command.callback, eval_str=True)
    return {name: _kind(item.annotation) for name, item in signature.parameters.items() if name in options}


def _kind(annotation: Any) -> type:
    inner = get_args(annotation)[0]  # of Annotated
    kinds = [kind for kind in (get_args(inner) or (inner,)) if kind is not type(None)]
    if any(getattr(kind, "__origin__", kind) is list for kind in (inner, *kinds)):
        return list
    return kinds[0] if kinds[0] in (bool, int, float, Quantity) else str


def _fits(value: object, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is Quantity:
        return isinstance(value, int | float | str)
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)


def check_variables(command: Any, prefix: str) -> None:
    """Refuse variables that begin as a verb's do and are no option of it, or whose value has the wrong type.

    Args:
        command: The verb.
        prefix: Of its variables, without the last underscore.

    Raises:
        UsageError: There is such a variable.
    """
    kinds = option_kinds(command)
    for variable, value in os.environ.items():
        if not variable.startswith(f"{prefix}_") or not value:
            continue
        name = variable.removeprefix(f"{prefix}_").lower()
        if name not in kinds:
            known = ", ".join(f"{prefix}_{kind.upper()}" for kind in sorted(kinds))
            raise UsageError(f"{variable}: no option{_near(name, kinds)}. Unset it; known variables: {known}.")
        if not _reads(value, kinds[name]):
            raise UsageError(f"{variable}={value}: give {_ASKED[kinds[name]]}.")


def _reads(value: str, kind: type) -> bool:
    if kind is bool:
        return value.lower() in _TRUTHS
    try:
        return kind not in (int, float) or kind(value) is not None
    except ValueError:
        return False


def name_origins(context: Any, verb: str, message: str) -> str:
    """Say of options that a message names, and that nobody typed, where they come from; empty where there are none.

    Args:
        context: Of the verb.
        verb: Its name as in the file.
        message: What is wrong.
    """
    told = []
    words = set(re.findall(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", message.lower()))
    for option in context.command.params:
        source = context.get_parameter_source(option.name)
        named = {str(option.name), str(option.name).replace("_", "-"), *(flag.lstrip("-") for flag in option.opts)}
        if source is None or source.name not in ("DEFAULT_MAP", "ENVIRONMENT") or not named & words:
            continue
        if source.name == "DEFAULT_MAP":
            told.append(f"{os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE}, [{verb}], sets {option.opts[0]}")
        else:
            told.append(f"{context.auto_envvar_prefix}_{str(option.name).upper()} sets {option.opts[0]}")
    return f" ({'; '.join(told)}.)" if told else ""


def without_defaults(context: Any, choices: dict[str, Any]) -> dict[str, Any]:
    """Of options that exclude each other keep those on the command line, where one is: it wins over file and variables.

    Args:
        context: Of the verb, or None.
        choices: Option names with values, None where an option has none.
    """
    typed = [name for name in choices if _typed(context, name)]
    return {name: value if name in typed or not typed else None for name, value in choices.items()}


def _typed(context: Any, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean '{near[0]}'" if near else ""
