"""List the pages of docs/results whose figures were written by other code than today's; a list, never a failure.

A page that is listed may still be right: the change may be one that moves no figure. Run its benchmark again to know.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.shared.code_digest import CodeTree  # noqa: E402


def main() -> int:
    """Print one line for every such page; return 0."""
    found = CodeTree(ROOT).stale_pages()
    for stale in found:
        print(f"docs/results/{stale.line()}")
    pages = len(list((ROOT / "docs" / "results").glob("*.json")))
    print(f"{pages - len(found)} of {pages} results were written by the code of today.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
