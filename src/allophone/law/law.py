"""Scaling law of a run's points: loss against what each axis buys, with interactions, or a refusal.

The form and its fit stand in :mod:`allophone.law.form`, the axes' resources in
:mod:`allophone.law.resources`. Three things decide how far a law is to be believed:

- Every point weighs by what is known of its variance (:mod:`allophone.law.validation`).
- Every point is predicted from the others, and every value of an axis from the other values. A law whose error on left
  out points is not clearly below that of the median of the others is refused.
- Intervals come from refits, with the misfit of single points added: they are meant to hold what a newly measured
  point would have on much more speech like the run's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.errors import LawError
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.summarise import summarise_run
from allophone.law.form import LawForm
from allophone.law.resources import axis_values, resource_table, varied_axes
from allophone.law.validation import CrossValidation, cross_validate, refit, variances_of, weighted_fit
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import Interval
from allophone.records.point import OperatingPoint

__all__ = ["Law", "fit_law", "fit_points"]

LEVEL = 0.9  # of a prediction's interval
_REFITS = 400
_FEWEST = 8  # points; and no fewer than the law without interactions has parameters, plus one
_CLEARLY = 0.7  # error over that of the trivial predictor from which a law is refused
_SURELY = 1.645  # standard errors by which it must be better over points: one-sided 95 %


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """A law that predicts points better than their median does.

    Args:
        points: The points it was fitted to.
        losses: Their losses as measured, fractions, shape (n_points,).
        replicates: The same in every refit's replicate, shape (n_refits, n_points).
        axes: The axes that the points vary.
        form: Its terms.
        centre: Logarithm of the resource at the middle of each axis' range, shape (n_axes,).
        reach: Half the range of that logarithm, shape (n_axes,).
        coefficients: Logarithms of its parameters, shape (n_parameters,).
        refits: The same of every refit, shape (n_refits, n_parameters).
        misfit: Standard deviation of a point about the law, as a share of its loss.
        validation: Errors on what was left out.
        durations_s: Lengths of the utterances, shape (n_utterances,).
        parameters: Sizes of models that the table of dimensions does not have.
        warnings: What a reader must know.
    """

    points: tuple[OperatingPoint, ...]
    losses: FloatArray
    replicates: FloatArray
    axes: tuple[str, ...]
    form: LawForm
    centre: FloatArray
    reach: FloatArray
    coefficients: FloatArray
    refits: FloatArray
    misfit: float
    validation: CrossValidation
    durations_s: FloatArray
    parameters: Mapping[str, float]
    warnings: tuple[str, ...]

    def predict(self, points: Sequence[OperatingPoint], level: float = LEVEL) -> tuple[Interval, ...]:
        """Predict the loss of points, measured or not, on the run's utterances.

        The axes on which the run does not vary are taken to be as there.

        Args:
            points: Operating points.
            level: Share of intervals meant to hold the loss on much more speech like the run's.

        Raises:
            UnknownModelError: The size of a model is not known.
        """
        best = self.form.losses(self.coefficients[None], self._logs(points))[0]
        tail = (1 - level) / 2
        low, high = np.quantile(self.sampled(points), [tail, 1 - tail], axis=0)
        ends = zip(np.maximum(low, 0).tolist(), high.tolist(), best.tolist(), strict=True)
        return tuple(Interval(low=a, high=b, level=level, estimate=estimate) for a, b, estimate in ends)

    def sampled(self, points: Sequence[OperatingPoint]) -> FloatArray:
        """Losses that refits and misfit allow for points, paired with :attr:`replicates`, shape (n_refits, n_points).

        Raises:
            UnknownModelError: The size of a model is not known.
        """
        losses = self.form.losses(self.refits, self._logs(points))
        rng = np.random.default_rng(1)
        return np.asarray(losses * (1 + self.misfit * rng.standard_normal(losses.shape)))

    def beyond(self, point: OperatingPoint) -> tuple[str, ...]:
        """The axes on which a point lies outside the measured range of resources."""
        outside = np.abs(self._logs([point])[0]) > self.reach + 1e-9
        return tuple(axis for axis, out in zip(self.axes, outside, strict=True) if out)

    def _logs(self, points: Sequence[OperatingPoint]) -> FloatArray:
        table = resource_table(points, self.axes, self.durations_s, self.parameters)
        return np.asarray(np.log(table) - self.centre)


def fit_law(run: str | Path | RecognitionRunSummary, parameters: Mapping[str, float] | None = None) -> Law:
    """Fit the law to a run's word error rates, speakers resampled as blocks and points paired.

    Args:
        run: A run folder, or the same summarised.
        parameters: Layer parameters of models that are not in the table of dimensions, by name.

    Raises:
        LawError: Too few points, or no law predicts them clearly better than their median.
        UnknownModelError: The size of a model is not known.
    """
    if isinstance(run, str | Path):
        run = summarise_run(Path(run), RecognitionRunSummary)
    resample = draw_blocks(run.samples.speakers, n_replicates=_REFITS)
    resampled = run.samples.resample("wer", resample)
    replicates = resampled.inflated() if resample.n_blocks > 1 else resampled.values
    return fit_points(
        [point.point for point in run.points],
        resampled.estimates,
        replicates,
        run.samples.duration_s,
        parameters,
        warnings=(resample.warning,) if resample.warning else (),
    )


def fit_points(
    points: Sequence[OperatingPoint],
    losses: npt.ArrayLike,
    replicates: npt.ArrayLike,
    durations_s: npt.ArrayLike,
    parameters: Mapping[str, float] | None = None,
    *,
    warnings: tuple[str, ...] = (),
) -> Law:
    """Fit the law to measured losses. A point whose loss is not finite is left out.

    Args:
        points: Operating points.
        losses: Their losses, fractions, shape (n_points,).
        replicates: Paired replicates of the losses, shape (n_replicates, n_points); each makes one refit.
        durations_s: Lengths of the utterances in seconds, shape (n_utterances,).
        parameters: Layer parameters of models that are not in the table of dimensions, by name.
        warnings: Carried along.

    Raises:
        LawError: Too few points, nothing varies, or the cross-validated error is not clearly below that of the trivial
            predictor; the message has the numbers.
        UnknownModelError: The size of a model is not known.
    """
    measured = np.asarray(losses, dtype=np.float64)
    finite = np.isfinite(measured) & np.isfinite(np.asarray(replicates, dtype=np.float64)).all(axis=0)
    kept = [point for point, use in zip(points, finite, strict=True) if use]
    measured, drawn = measured[finite], np.asarray(replicates, dtype=np.float64)[:, finite]
    durations = np.asarray(durations_s, dtype=np.float64)
    axes = varied_axes(kept)
    table = np.log(resource_table(kept, axes, durations, parameters))
    axes = tuple(axis for k, axis in enumerate(axes) if np.ptp(table[:, k]) > 1e-6)
    needed = max(_FEWEST, 2 + 2 * len(axes))
    if not axes or len(kept) < needed:
        raise LawError(
            f"{len(kept)} measured points that vary {len(axes)} axes ({', '.join(axes) or 'none'}) are too few for a "
            f"law: it takes {needed}, and at least one axis. Measure more, for example with --plan grid."
        )
    table = np.log(resource_table(kept, axes, durations, parameters))
    centre = (table.max(axis=0) + table.min(axis=0)) / 2
    logs = table - centre
    values = [[axis_values(point, axis) for axis in axes] for point in kept]
    forms = [LawForm(len(axes), ())]
    if pairs := _pairs(values, len(axes)):
        forms.append(LawForm(len(axes), pairs))
    best: tuple[CrossValidation, LawForm, FloatArray, float] | None = None
    for form in forms:
        coefficients, misfit = weighted_fit(form, logs, measured, drawn)
        weights = 1 / variances_of(form, coefficients, logs, drawn, misfit)
        validation = cross_validate(form, logs, measured, weights, axes)
        if best is None or validation.point_error < best[0].point_error:
            best = (validation, form, coefficients, misfit)
    assert best is not None
    validation, form, coefficients, misfit = best
    _refuse_poor(validation, len(kept))
    return Law(
        points=tuple(kept),
        losses=measured,
        replicates=drawn,
        axes=axes,
        form=form,
        centre=centre,
        reach=np.asarray(np.ptp(table, axis=0) / 2),
        coefficients=coefficients,
        refits=refit(form, logs, measured, drawn, coefficients, misfit),
        misfit=misfit,
        validation=validation,
        durations_s=durations,
        parameters=dict(parameters or {}),
        warnings=warnings,
    )


def _pairs(values: list[list[tuple[object, ...]]], n_axes: int) -> tuple[tuple[int, int], ...]:
    """The axes that were varied together: more combinations of values than a star has."""
    found = []
    for one in range(n_axes):
        for other in range(one + 1, n_axes):
            combined = {(row[one], row[other]) for row in values}
            if len(combined) > len({row[one] for row in values}) + len({row[other] for row in values}) - 1:
                found.append((one, other))
    return tuple(found)


def _refuse_poor(validation: CrossValidation, n_points: int) -> None:
    gain = validation.gains
    surely = gain.mean() > _SURELY * gain.std(ddof=1) / np.sqrt(n_points)
    if validation.point_error > _CLEARLY * validation.point_trivial or not surely:
        raise LawError(
            f"no law describes these {n_points} points: a point predicted from the others is off by "
            f"{100 * validation.point_error:.2f} % on average, by {100 * validation.point_trivial:.2f} % when the "
            f"median of the others is taken for it; the law must err clearly less (at most {_CLEARLY:g} of that, with "
            "95 % confidence over points)."
        )
