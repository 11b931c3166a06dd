"""Resampling blocks: utterances drawn by speaker, and the weights of every replicate.

Utterances of one speaker are not independent: resampling them one by one makes intervals too narrow. So whole speakers
are drawn with replacement (the cluster bootstrap; Davison and Hinkley, "Bootstrap methods and their application",
1997, section 3.8; for error rates Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance
evaluation", 2004). A replicate is one weight per block, how often the block was drawn, and every point gets the same
weights: what is hard in a replicate is hard for all, and differences between points keep only what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray, IntArray
from allophone.errors import UsageError

__all__ = ["Resample", "draw_blocks"]


_CHUNK_WEIGHTS = 2**18  # weights drawn at once: 2 MB as float64, so that they stay in the processor's cache
_CHUNK_ROWS = 64  # replicates drawn at once at least: a matrix product of fewer rows is slow
_FEW_UTTERANCES = 20
_FEW_SPEAKERS = 20  # below, strong speaker effects can bring nominal 95 % intervals under 93 %


@dataclass(frozen=True, slots=True, eq=False)
class Resample:
    """Replicates of a corpus: blocks drawn with replacement, as many as there are.

    Args:
        blocks: Block of every utterance, 0 to ``n_blocks - 1``, shape (n_utterances,).
        n_blocks: Number of blocks.
        n_replicates: Number of replicates.
        seed: Fixes the draw. Equal seeds and sizes give equal weights on every machine.
        blocked: Whether blocks are speakers; otherwise every utterance is its own block.
        warning: What a reader of the intervals must know, or None.
        n_speakers: Speakers heard; where none is named, or for utterances that name none, each counts as one.
    """

    blocks: IntArray
    n_blocks: int
    n_replicates: int
    seed: int
    blocked: bool
    warning: str | None
    n_speakers: int

    @property
    def effective_blocks(self) -> float:
        """How many blocks of equal size would tell as much: ``(sum n)² / sum n²`` over utterances per block.

        Kish, "Survey sampling", 1965, section 8.2.
        """
        counts = np.bincount(self.blocks)
        return float(counts.sum() ** 2 / (counts**2).sum())

    def weights(self) -> Iterator[FloatArray]:
        """How often each block was drawn, a few replicates at a time so that memory stays bounded.

        Yields:
            Shape (some replicates, n_blocks), whole numbers; each row sums to ``n_blocks``. All rows together are the
            ``n_replicates`` replicates, the same at every call.
        """
        rng = np.random.default_rng((self.seed, 1))
        chunk = max(_CHUNK_ROWS, _CHUNK_WEIGHTS // self.n_blocks)
        for start in range(0, self.n_replicates, chunk):
            rows = min(chunk, self.n_replicates - start)
            drawn = rng.integers(0, self.n_blocks, size=(rows, self.n_blocks))
            drawn += np.arange(0, rows * self.n_blocks, self.n_blocks)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=rows * self.n_blocks)
            yield counts.reshape(rows, self.n_blocks).astype(np.float64)

    def small_sample_factor(self) -> FloatArray:
        """Factor by which each replicate's deviation from the estimate is widened because blocks are few.

        Replicates of n blocks vary as if the spread between blocks were known, and by (n - 1)/n too little. The factor
        ``sqrt(n / chi2)``, ``chi2`` drawn with n - 1 degrees of freedom, turns a normal deviation of standard error
        ``s sqrt((n - 1) / n)`` into one of Student's t with standard error ``s``: what the expanded percentile interval
        of Hesterberg ("What teachers should know about the bootstrap", 2015, section 3.3) does to one level, here for
        all levels and for comparisons too. It is the scale mixture that makes a multivariate t (Gelman et al.,
        "Bayesian data analysis", 3rd edition, appendix A), hence one factor for all points. It tends to 1.

        Returns:
            Shape (n_replicates,); NaN where there is one block only, which shows no spread.
        """
        if self.n_blocks < 2:
            return np.full(self.n_replicates, np.nan)
        rng = np.random.default_rng((self.seed, 2))
        factor: FloatArray = np.sqrt(self.n_blocks / rng.chisquare(self.n_blocks - 1, size=self.n_replicates))
        return factor

    def checked(self, values: npt.ArrayLike) -> FloatArray:
        """Values of every point and utterance as floats, shape (n_points, n_utterances).

        Raises:
            UsageError: They are not two-dimensional or have another number of utterances than the resample.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self.blocks):
            raise UsageError(f"values of shape {array.shape} do not fit {len(self.blocks)} resampled utterances")
        return array

    def block_sums(self, values: npt.ArrayLike) -> FloatArray:
        """Sums within blocks.

        Args:
            values: Shape (n_points, n_utterances).

        Returns:
            Shape (n_blocks, n_points).

        Raises:
            UsageError: The values do not fit the resampled utterances.
        """
        order = np.argsort(self.blocks, kind="stable")
        starts = np.searchsorted(self.blocks[order], np.arange(self.n_blocks))
        return np.asarray(np.add.reduceat(self.checked(values)[:, order], starts, axis=1).T)


def draw_blocks(
    speakers: Sequence[str | None], *, n_replicates: int = 10_000, seed: int = 0, blocked: bool = True
) -> Resample:
    """Lay out the bootstrap of a corpus: whose utterances are drawn together, and what to be warned of.

    An utterance without a speaker is a block of its own. With fewer than two blocks, or no speaker named at all, every
    utterance becomes a block and the warning says that intervals are then too narrow.

    Args:
        speakers: Speaker of every utterance, in the order of the counts to come.
        n_replicates: Number of replicates.
        seed: Fixes the draw.
        blocked: False draws utterances one by one, for corpora whose utterances are independent.

    Raises:
        UsageError: There is no utterance, no replicate, or a negative seed.
    """
    if not len(speakers) or n_replicates < 1 or seed < 0:
        raise UsageError(
            f"a bootstrap needs utterances, replicates and a seed of 0 or more; "
            f"got {len(speakers)} utterances, {n_replicates} replicates, seed {seed}"
        )
    warnings = []
    utterances = np.arange(len(speakers), dtype=np.intp)
    named = {speaker: block for block, speaker in enumerate(dict.fromkeys(s for s in speakers if s is not None))}
    nameless = sum(speaker is None for speaker in speakers)
    n_blocks = len(named) + nameless
    by_speaker = blocked and bool(named) and n_blocks > 1
    if by_speaker:
        if nameless:
            warnings.append(f"{nameless} utterances name no speaker and count as speakers of their own.")
        if n_blocks < _FEW_SPEAKERS:
            warnings.append(f"Only {n_blocks} speakers: intervals may be too narrow.")
    elif blocked:
        reason = "All utterances have one speaker" if named else "No utterance names its speaker"
        warnings.append(
            f"{reason}: utterances were resampled one by one, so intervals say nothing about other speakers."
        )
    if len(speakers) < _FEW_UTTERANCES:
        warnings.append(f"Only {len(speakers)} utterances: too few for intervals to be trusted.")
    blocks = utterances
    if by_speaker:
        lone = iter(range(len(named), n_blocks))
        blocks = np.array([next(lone) if s is None else named[s] for s in speakers], dtype=np.intp)
    return Resample(
        blocks=blocks,
        n_blocks=n_blocks if by_speaker else len(speakers),
        n_replicates=n_replicates,
        seed=seed,
        blocked=by_speaker,
        warning=" ".join(warnings) or None,
        n_speakers=n_blocks,
    )
