"""A verb of the command: options in groups, examples below them, and the options that every verb has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from allophone.cli.help import EXAMPLES, PANELS
from allophone.cli.option_defaults import check_variables, name_origins
from allophone.cli.say import speak
from allophone.errors import UsageError

__all__ = ["Verb", "verb"]

_COMMON = "On every verb"


class Verb(TyperCommand):
    """A command whose help is plain text, options in groups: readable without colour at 80 columns."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the verb's variables, then read its arguments."""
        if ctx.auto_envvar_prefix is not None:
            check_variables(self, ctx.auto_envvar_prefix)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if error.param is not None and (origin := self._origins(ctx, str(error.param.name))):
                raise UsageError(f"{error.format_message()}{origin}") from None
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; an error about an option that nobody typed says which file or variable set it."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if origin := self._origins(ctx, str(error)):
                raise type(error)(f"{error}{origin}").with_traceback(error.__traceback__) from error.__cause__
            raise

    @staticmethod
    def _origins(ctx: Any, message: str) -> str:
        return name_origins(ctx, path_of(ctx).replace(" ", "."), message)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options group by group."""
        panels = PANELS.get(path_of(ctx), {})
        grouped: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], **{name: [] for name in panels}}
        grouped[_COMMON] = []
        of = {option: name for name, options in panels.items() for option in options}
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            parameter.show_envvar = False  # a line for each would double the help
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if parameter.name in ("quiet", "verbose", "help"):
                usual = _COMMON
            grouped[of.get(str(parameter.name), usual)].append(record)
        for name, records in grouped.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, a command per line, as they can be pasted."""
        if examples := EXAMPLES.get(path_of(ctx)):
            with formatter.section("Examples"):
                formatter.indent()
                for line in examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
                formatter.dedent()


def path_of(ctx: Any) -> str:
    """Return a verb's name behind the command's, such as ``route train``."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(names)


_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print results and errors only: no progress, notices or next steps.")
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print more: where an error arose; of a transcript as JSON every field.")
]


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Give a verb --quiet and --verbose, which are understood before the verb too."""

    @wraps(function)
    def spoken(*args: Any, quiet: bool, verbose: bool, **options: Any) -> None:
        speak(quiet=quiet or None, verbose=verbose or None)
        function(*args, **options)

    kind = inspect.Parameter.KEYWORD_ONLY
    own = inspect.signature(function, eval_str=True)
    common = {"quiet": _Quiet, "verbose": _Verbose}
    added = [inspect.Parameter(name, kind, default=False, annotation=option) for name, option in common.items()]
    spoken.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    return spoken
