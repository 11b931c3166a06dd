"""A cascade over emotion points as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite

from allophone.files import json_text
from allophone.measure.intervals import Interval
from allophone.records.names import title_of
from allophone.report.tables import Table, probability_of
from allophone.routing.emotion import CascadeResult

__all__ = ["cascade_json", "cascade_table"]


def cascade_table(found: CascadeResult) -> Table:
    """Return fixed points, the cascade, and chance and oracle at the cascade's cost."""
    rows = [
        (title_of(name), f"{100 * uar:.1f}", f"{gflops:.2f}", f"{seconds:.3f}", str(hits))
        for name, uar, gflops, seconds, hits in found.fixed
    ]
    chance = found.uar.estimate - found.over_chance.estimate
    cost = (f"{found.gflops:.2f}", f"{found.seconds:.3f}")
    first_hits = found.fixed[0][4]
    hits = first_hits + found.saved_over_first
    rows += [
        ("cascade", _percent(found.uar), *cost, str(hits)),
        ("chance at its GFLOPs", f"{100 * chance:.1f}", cost[0], "", f"{hits - found.saved_over_chance:.1f}"),
        ("oracle at its GFLOPs", f"{100 * found.oracle_uar:.1f}", cost[0], "", ""),
    ]
    chosen = ", ".join(f"{name.replace('_', ' ')} in {count}" for name, count in found.signals.items())
    along = "; ".join(
        f"{item.name} {100 * item.share:.0f} % [{100 * item.interval.low:.0f}, {100 * item.interval.high:.0f}]"
        if isfinite(item.share)
        else f"{item.name}: the oracle gains nothing"
        for item in found.recoveries
    )
    notes = [
        f"{100 * found.climbed:.0f} % reach the last point. Over chance at equal GFLOPs: {_points(found.over_chance)} "
        f"points of UAR ({probability_of(found.p_above)} that it is above), {found.saved_over_chance:+.1f} rows; over "
        f"always the first point {found.saved_over_first:+d} rows; over always the last {_points(found.over_last)} "
        "points.",
        f"Sign of doubt and threshold were chosen on other speakers than those judged ({chosen} of the folds). "
        + _promise(found),
        f"Along all costs, share of what the oracle gains over chance that is recovered: {along}.",
    ]
    if found.warning:
        notes.append(found.warning)
    return Table(
        title=f"A cascade over {'; '.join(title_of(item[0]) for item in found.fixed)}: {found.n_rows} decisions, "
        f"{found.n_speakers} speakers",
        columns=("router", "UAR %", "GFLOPs/utt.", "s/utt.", "recognised"),
        rows=tuple(rows),
        muted=(*(False for _ in found.fixed), False, True, True),
        notes=tuple(notes),
    )


def cascade_json(found: CascadeResult) -> str:
    """Return the result as JSON: fractions, GFLOPs, seconds; what is undefined is null."""
    names = ("name", "uar", "gflops", "seconds", "recognised")
    fields = {
        **{name: value for name, value in asdict(found).items() if name not in {"recoveries", "fixed", "goal"}},
        "wish": asdict(found.goal),
        "fixed": [dict(zip(names, item, strict=True)) for item in found.fixed],
        "recovered": [
            {"router": item.name, "share": item.share, "interval": [item.interval.low, item.interval.high]}
            for item in found.recoveries
        ],
    }
    return json_text(fields)


def _promise(found: CascadeResult) -> str:
    if not found.promised:
        return f"There are too few speakers to promise {_asked(found)} to new ones."
    unmet = f"; {found.folds_unmet} folds did not reach it and took the nearest" if found.folds_unmet else ""
    return f"Chosen on all, new speakers keep {_asked(found)} with a probability of {found.goal.confidence:g}{unmet}."


def _asked(found: CascadeResult) -> str:
    value = found.goal.value
    return f"{value:g} GFLOPs" if found.goal.target == "gflops" else f"a share of {100 * value:g} %"


def _percent(interval: Interval) -> str:
    return f"{100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _points(interval: Interval) -> str:
    return f"{100 * interval.estimate:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
