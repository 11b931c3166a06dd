"""Names of operating points for people, such as ``base, short context, beam 5``, and the points that a name means.

An id (``base-fit+1tlearned64g-s1-int8-b5``) says every setting; a name says the model, the context, and of the other
settings those that are not the usual ones. docs/names.md has the grammar of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.errors import UsageError

__all__ = ["find_named", "match_names", "title_of"]

_BETWEEN = ", "
_USUAL_TAIL = "learned64"  # that of the shipped tails
_NUMBER = r"\d[\d.]*(?:e-?\d+)?"
_RECOGNITION = re.compile(
    rf"(?P<model>.+)-(?:(?P<full>full)|fit\+(?P<margin>{_NUMBER})(?:f(?P<floor>{_NUMBER}))?(?:t(?P<tail>\w+?))?"
    rf"(?P<guard>g)?)(?:-w(?P<window>{_NUMBER}))?(?:-x(?P<speed>{_NUMBER}))?-s(?P<stride>\d+)"
    r"-(?P<compute_type>\w+)-b(?P<beam>\d+)"
)
_EMOTION = re.compile(
    rf"(?P<model>.+)-(?P<duration>{_NUMBER})s(?:-r(?P<rank>\d+))?(?:-(?:top(?P<top>\d+)|(?P<depth>all|frozen)))?"
)


class _Named(Protocol):
    @property
    def model(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...


NamedT = TypeVar("NamedT", bound=_Named)


def title_of(name: str) -> str:
    """Return the name for people of what has this id; what is no point's id, as a policy's name, is returned as it is.

    Different ids have different names. Left out are the usual settings: a margin of 1 s, the learned tail and the guard
    of a short context; windows of 30 s, speed 1, stride 1, int8, greedy decoding.
    """
    if found := _RECOGNITION.fullmatch(name):
        return _BETWEEN.join([found["model"], *_recognition(found)])
    if found := _EMOTION.fullmatch(name):
        return _BETWEEN.join([found["model"], *_emotion(found)])
    return name


def _recognition(found: re.Match[str]) -> Iterator[str]:
    if found["full"]:
        yield "full context"
    elif found["model"] not in MOONSHINE_MODELS:  # which knows no other context
        yield "short context"
        if found["margin"] != "1":
            yield f"margin {found['margin']} s"
        if found["floor"]:
            yield f"at least {found['floor']} s"
        tail = found["tail"] or "none"
        if tail != _USUAL_TAIL:
            yield _tail(tail)
        if not found["guard"]:
            yield "no guard"
    if found["window"]:
        yield f"{found['window']} s windows"
    if found["speed"]:
        yield f"speed {found['speed']}"
    if found["stride"] != "1":
        yield f"stride {found['stride']}"
    if found["compute_type"] != "int8":
        yield found["compute_type"]
    if found["beam"] != "1":
        yield f"beam {found['beam']}"


def _tail(tail: str) -> str:
    if tail == "all":
        return "whole tail"
    kind = tail.rstrip("0123456789")  # nothing, where it is a number: every n-th position
    return "no tail" if tail == "none" else f"tail {kind or 'every'}-{tail.removeprefix(kind)}"


def _emotion(found: re.Match[str]) -> Iterator[str]:
    yield f"{found['duration']} s"
    if found["rank"]:
        yield f"rank {found['rank']}"
    if found["top"]:
        yield f"top {found['top']}"
    elif found["depth"]:
        yield "all layers" if found["depth"] == "all" else "frozen"


def match_names(asked: Iterable[str], points: Sequence[NamedT]) -> list[tuple[str, tuple[NamedT, ...]]]:
    """Find the points that names mean, in the order asked: one where a name is right, none or several where not.

    A name is an id, a name for people, or the model with some of the settings of a name for people (``base``, or
    ``base, beam 5``), which means all points that have them. Names for people hold commas, so what is asked is cut at
    commas first, and a new name begins wherever no setting of a point stands.

    Args:
        asked: Names, or text in which several stand behind each other.
        points: What can be meant.

    Returns:
        Every name as it was understood, with the points that it means.
    """
    settings = {_key(part) for point in points for part in point.title.split(_BETWEEN)[1:]}
    names: list[list[str]] = []
    for part in (part.strip() for text in asked for part in text.replace(";", ",").split(",")):
        if names and _key(part) in settings:
            names[-1].append(part)
        elif part:
            names.append([part])
    return [(_BETWEEN.join(parts), _meant(parts, points)) for parts in names]


def find_named(asked: Iterable[str], points: Sequence[NamedT], where: str) -> list[NamedT]:
    """Find the points that names mean, in the order asked, as :func:`match_names` understands them.

    Args:
        asked: Names.
        points: What can be meant.
        where: What holds the points, for the message.

    Raises:
        UsageError: A name means no point, or several.
    """
    found = []
    for name, meant in match_names(asked, points):
        if len(meant) != 1:
            known = "; ".join(point.title for point in meant or points)
            problem = "names several points" if meant else "is no point of this run"
            raise UsageError(f"{where}: '{name}' {problem}. Name one of: {known}.")
        found.append(meant[0])
    return found


def _meant(parts: Sequence[str], points: Sequence[NamedT]) -> tuple[NamedT, ...]:
    name = _BETWEEN.join(parts)
    exact = [point for point in points if point.name == name] or [
        point for point in points if _key(point.title) == _key(name)
    ]
    return tuple(exact or [point for point in points if _has(point, parts)])


def _has(point: _Named, parts: Sequence[str]) -> bool:
    model, *settings = point.title.split(_BETWEEN)
    if _key(parts[0]) not in (_key(model), _key(point.model)):
        return False
    return {_key(part) for part in parts[1:]} <= {_key(setting) for setting in settings}


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
