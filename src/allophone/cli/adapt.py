"""``allophone adapt``: verbs that change weights, one module each."""

from __future__ import annotations

import typer

from allophone.cli.adapt_context import context, tail
from allophone.cli.adapt_emotion import emotion
from allophone.cli.verb import Verb, verb

__all__ = ["adapt"]

adapt = typer.Typer(
    help="Change weights: adapt models to your audio and budget.", no_args_is_help=True, rich_markup_mode=None
)

for _verb in (context, tail, emotion):
    adapt.command(cls=Verb)(verb(_verb))
