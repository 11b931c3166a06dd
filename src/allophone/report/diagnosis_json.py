"""A diagnosis as machines read it: fractions, GFLOPs, seconds, bytes; what is unknown or unbounded is null."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from typing import Any

from allophone.diagnosis.emotion import EmotionDiagnosis
from allophone.diagnosis.recognition import Diagnosis

__all__ = ["diagnosis_json", "finite"]


def diagnosis_json(diagnosis: Diagnosis | EmotionDiagnosis) -> str:
    """Return a diagnosis as JSON.

    Args:
        diagnosis: Of either task; the changes of an emotion run are of one minus the UAR.
    """
    record, standing = diagnosis.run.run, diagnosis.standing
    fields = {
        "schema_version": record.schema_version,
        "task": record.task,
        "corpus": record.corpus,
        "fingerprint": record.fingerprint,
        "quality_name": record.quality_name,
        "base": {**asdict(diagnosis.base), "name": diagnosis.base.name, "point": diagnosis.base.point.model_dump()},
        "base_source": diagnosis.base_source,
        "cost": diagnosis.cost.name,
        "confidence": diagnosis.confidence,
        "margin": diagnosis.margin,
        "axes": [asdict(axis) for axis in diagnosis.axes],
        "binding": asdict(diagnosis.binding) if diagnosis.binding else None,
        "wasted": diagnosis.wasted,
        "next_step": asdict(diagnosis.next_step),
        "answers": [asdict(answer) for answer in diagnosis.answers],
        "standing": {
            "status": standing.status,
            "p_on_frontier": standing.p_on_frontier,
            "dominated_by": standing.dominated_by,
            "p_dominated": standing.p_dominated,
        },
        **_of_its_task(diagnosis),
        "notices": [*diagnosis.run.notices, *diagnosis.warnings],
        "machine": record.machine.model_dump(),
    }
    return json.dumps(finite(fields), indent=1, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Return plain data with null for what is unknown or unbounded."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _of_its_task(diagnosis: Diagnosis | EmotionDiagnosis) -> dict[str, Any]:
    if isinstance(diagnosis, EmotionDiagnosis):
        return {
            "duration": asdict(diagnosis.duration) if diagnosis.duration else None,
            "depth_and_rank": [{**asdict(pair), "equal_size": pair.equal_size} for pair in diagnosis.depth],
        }
    return {"anatomy": {name: {**asdict(found), "total": found.total} for name, found in diagnosis.anatomy.items()}}
