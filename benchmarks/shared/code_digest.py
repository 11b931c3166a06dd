"""A digest of the code that decides a benchmark's figures, so that a page can tell when that code has changed.

The code of a benchmark is its script, the helpers beside it and those modules of the package that they import, found
by reading import statements, never by importing. Modules that only show or store what others computed are left out.
A module's digest is of its syntax tree without comments, docstrings, ``__all__``, what is imported for type checkers
alone, and the paths (not the names) of imports: prose and a move to another folder leave it as it is.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["CodeTree", "Staleness", "code_digest"]

PACKAGE = "allophone"
BENCHMARKS = "benchmarks"
# They print, open and name things; what they are given has been computed.
_DECIDE_NOTHING = ("cli", "report", "cache", "errors", "files", "version", "__main__")
_DIGITS = 12
_DIGEST_ITSELF = {f"{BENCHMARKS}.shared.{name}" for name in ("code_digest", "conclusions", "recording")}


@dataclass(frozen=True)
class Staleness:
    """A page whose code is not that of today.

    Args:
        page: Its name.
        changed: Modules whose code has changed or is gone since, by the names they had; empty where ``unknown``.
        added: Modules that the benchmark takes in only today.
        unknown: Why nothing can be told, or None.
    """

    page: str
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    unknown: str | None = None

    def line(self) -> str:
        """Return one line for people."""
        if self.unknown:
            return f"{self.page}: unknown, {self.unknown}"
        told = [f"changed since: {', '.join(self.changed)}"] if self.changed else []
        told += [f"new: {', '.join(self.added)}"] if self.added else []
        return f"{self.page}: {'; '.join(told)}"


class CodeTree:
    """The code of a repository as it is now, each file read once.

    Args:
        root: The repository: the package lies under ``src``, benchmarks under ``benchmarks``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scripts = {path.stem: path for path in sorted((root / BENCHMARKS).rglob("*.py"))}
        self._digests: dict[Path, str] = {}
        self._imports: dict[str, dict[str, Path]] = {}

    def code_of(self, script: str) -> dict[str, Any]:
        """Return what a result states about its code.

        Args:
            script: Name of the benchmark that is run, without its folder: results keep it when a script moves.

        Returns:
            ``script``, its name; ``modules``, each module's digest; and ``digest`` over all of these.
        """
        modules = {name: self._digest(path) for name, path in sorted(self._reached(script).items())}
        together = hashlib.sha256("\n".join(sorted(modules.values())).encode()).hexdigest()[:_DIGITS]
        return {"script": script, "digest": together, "modules": modules}

    def stale_pages(self) -> list[Staleness]:
        """Return the results whose code has changed since they were written, and those that do not state theirs."""
        found = []
        for path in sorted((self.root / "docs" / "results").glob("*.json")):
            stated = json.loads(path.read_text(encoding="utf-8")).get("code")
            if stated is None:
                found.append(Staleness(path.stem, unknown="it states no digest"))
            elif stated["script"] not in self.scripts:
                found.append(Staleness(path.stem, unknown=f"its script {stated['script']} is gone"))
            elif (now := self.code_of(stated["script"]))["digest"] != stated["digest"]:
                found.append(_compare(path.stem, stated["modules"], now["modules"]))
        return found

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = code_digest(path.read_text(encoding="utf-8"))
        return self._digests[path]

    def _reached(self, script: str) -> dict[str, Path]:
        """Return the modules that decide the script's figures, itself included, by name."""
        found: dict[str, Path] = {}
        waiting = [(self._dotted(self.scripts[script]), self.scripts[script])]
        while waiting:
            name, path = waiting.pop()
            if name not in found and name not in _DIGEST_ITSELF:
                found[name] = path
                waiting += self._imported(name, path).items()
        rooms = {name: name.split(".")[1] for name in found if name.startswith(PACKAGE + ".")}
        return {name: path for name, path in found.items() if rooms.get(name) not in _DECIDE_NOTHING}

    def _imported(self, name: str, path: Path) -> dict[str, Path]:
        if name in self._imports:
            return self._imports[name]
        found: dict[str, Path] = {}
        texts = set()
        for node in ast.walk(_without_prose(ast.parse(path.read_text(encoding="utf-8")), keep_paths=True)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            for wanted in _names(node):
                if (module := self._module(wanted)) is not None:
                    found[wanted] = module
        if not name.startswith(PACKAGE):  # a benchmark may start another, or the command, as a process of its own
            started = {text: self._module(text) for text in texts if text.startswith(f"{BENCHMARKS}.")}
            found |= {script: module for script, module in started.items() if module is not None}
            runs_it = {"-m", PACKAGE} <= texts or f"import {PACKAGE}" in texts
            if runs_it and (command := self._module(f"{PACKAGE}.cli")) is not None:
                found[f"{PACKAGE}.cli"] = command
        self._imports[name] = found
        return found

    def _dotted(self, path: Path) -> str:
        return ".".join(path.relative_to(self.root).with_suffix("").parts)

    def _module(self, name: str) -> Path | None:
        folder = {PACKAGE: self.root / "src", BENCHMARKS: self.root}.get(name.partition(".")[0])
        if folder is None:
            return None
        path = folder.joinpath(*name.split("."))
        files = path.with_name(path.name + ".py"), path / "__init__.py"
        return next((file for file in files if file.is_file()), None)


def code_digest(source: str) -> str:
    """Return the digest of a module's syntax tree, the same under every version of Python."""
    tree = _plain(_without_prose(ast.parse(source)))
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()[:_DIGITS]


def _compare(page: str, then: Mapping[str, str], now: Mapping[str, str]) -> Staleness:
    changed = tuple(name for name, digest in then.items() if digest not in set(now.values()))
    renamed = set(then.values())
    added = tuple(name for name, digest in now.items() if digest not in renamed and name not in then)
    return Staleness(page, changed, added)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_prose(tree: ast.Module, *, keep_paths: bool = False) -> ast.Module:
    """Take docstrings, ``__all__`` and imports for type checkers out of a tree; and the paths of imports."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for place, line in enumerate(body) if not _is_prose(node, place, line)]  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom) and not keep_paths:
            node.module = None
            node.names.sort(key=lambda alias: (alias.name, alias.asname or ""))
    return tree


def _is_prose(parent: ast.AST, place: int, line: ast.stmt) -> bool:
    if isinstance(line, ast.If) and "TYPE_CHECKING" in ast.dump(line.test):
        return True
    if isinstance(line, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in line.targets):
        return True
    holds_docstring = isinstance(parent, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    return (
        holds_docstring
        and place == 0
        and isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )


def _plain(node: object) -> object:
    # Fields that are empty are left out: versions of Python differ in which of them they have.
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
        return [type(node).__name__, {name: _plain(value) for name, value in fields.items() if name != "kind"}]
    if isinstance(node, list):
        return [_plain(one) for one in node]
    return repr(node)
