"""Bootstrap of linearised estimates: each utterance's contribution to the deviation, resampled by blocks.

An estimate that is no plain ratio of sums over all utterances, such as one corrected by a weighted sample of them, is
near a sum of independent contributions, one per block (its linearisation; Davison and Hinkley, "Bootstrap methods and
their application", 1997, section 2.7.2). Drawing blocks then moves the estimate by the contributions of the blocks that
were drawn, and Student's t takes the place of the normal distribution where few blocks carry the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from allophone.arrays import FloatArray
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates

__all__ = ["Linearised", "resample_linearised"]


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """Estimates of all points from a sample of transcribed utterances, with the contribution of every utterance.

    Args:
        estimates: Shape (n_points,), as fractions.
        contributions: What each utterance adds to the estimate's deviation from the truth, corrected for small
            samples, shape (n_points, n_utterances).
        from_sample: The part of ``contributions`` that falls with the number of transcripts, shape alike.
        n_transcripts: Size of the sample.
        freedom: Degrees of freedom of the spread between blocks.
        least: No value can be smaller.
    """

    estimates: FloatArray
    contributions: FloatArray
    from_sample: FloatArray
    n_transcripts: int
    freedom: float
    least: float = 0.0

    def difference(self, reference: int) -> Linearised:
        """Every point minus the reference point."""
        return replace(
            self,
            estimates=self.estimates - self.estimates[reference],
            contributions=self.contributions - self.contributions[[reference]],
            from_sample=self.from_sample - self.from_sample[[reference]],
            least=-np.inf,
        )

    def variances(self, resample: Resample) -> tuple[FloatArray, FloatArray]:
        """Squared standard errors, and the part that more transcripts would lower; each of shape (n_points,)."""
        whole = (resample.block_sums(self.contributions) ** 2).sum(axis=0)
        sample = (resample.block_sums(self.from_sample) ** 2).sum(axis=0)
        return whole, np.minimum(sample, whole)


def resample_linearised(linearised: Linearised, resample: Resample, *, simultaneous: bool = False) -> Replicates:
    """The estimates in every replicate: moved by the contributions of the blocks drawn more or less than once.

    The widening divides by the square root of a mean of squares with ``freedom`` degrees of freedom, which turns the
    normal distribution of many blocks into Student's t; the contributions themselves are already corrected for small
    samples. Intervals are symmetric.

    Args:
        linearised: The estimates.
        resample: From :func:`allophone.measure.blocks.draw_blocks` over the same utterances.
        simultaneous: Whether the intervals of all points shall hold together, and so that of whichever point is chosen
            by its estimate: every point then takes the greatest pivot of all (max-t; Hothorn, Bretz and Westfall,
            "Simultaneous inference in general parametric models", 2008).

    Raises:
        UsageError: The contributions do not fit the resampled utterances.
    """
    blocks = resample.block_sums(linearised.contributions)
    moves = np.concatenate([(weights - 1) @ blocks for weights in resample.weights()])
    standard_errors = np.sqrt((blocks**2).sum(axis=0))
    rng = np.random.default_rng((resample.seed, 3))
    small_sample_factor = np.sqrt(linearised.freedom / rng.chisquare(linearised.freedom, size=resample.n_replicates))
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no utterance adds anything
        pivots = np.where(moves == 0, 0.0, np.abs(moves) * small_sample_factor[:, None] / standard_errors)
    if simultaneous:
        pivots = np.broadcast_to(pivots.max(axis=1, keepdims=True), pivots.shape)
    return Replicates(
        resample,
        linearised.estimates,
        linearised.estimates + moves,
        standard_errors,
        pivots,
        least=linearised.least,
        small_sample_factor=small_sample_factor,
    )
