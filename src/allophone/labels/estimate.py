"""Prediction-powered error rates: a few human transcripts, and a big model's transcripts of everything.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference", Science
382, 2023): the big model's transcript gives every utterance an imputed error count ``f`` and word count ``m``; the
sample, with human transcripts, has true counts ``e`` and ``w`` too and corrects what the imputed ones get wrong. With
weights ``v = 1 / inclusion probability`` on the sample, and sums over the sample but for ``F`` (over all)::

    rate = (sum v e + power · (F sum v m - sum v f)) / sum v w,    F = (sum f) / (sum m) over all utterances

It is the weighted ratio of the sample, moved by as much as the sample's imputed rate differs from everyone's. ``power``
is that of PPI++ (Angelopoulos, Duchi and Zrnic, "PPI++: efficient prediction-powered inference", 2023, section 6): it
minimises the variance and lies between 0, which ignores the big model, and 1. With equal weights and words the estimate
is theirs for a mean.

Its linearisation gives every utterance a contribution; they are summed within speakers, since neither errors nor
the big model's mistakes are independent there. A speaker with share ``h`` of the sample pulls the estimate towards
itself, so its contribution is divided by ``1 - h`` (the jackknife, CR3 of Bell and McCaffrey, "Bias reduction in
standard errors for linear regression with multi-stage samples", 2002), and Student's t has one degree of freedom less
than the effective number of speakers in the sample, ``1 / sum h²``.
"""

from __future__ import annotations

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.errors import UsageError
from allophone.measure.linearised import Linearised

__all__ = ["estimate_error_rates"]

_GREATEST_SHARE = 0.9  # of one speaker in the correction, where the sample hardly holds another


def estimate_error_rates(
    imputed_errors: FloatArray,
    imputed_words: FloatArray,
    sample: IntArray,
    errors: FloatArray,
    words: FloatArray,
    probabilities: FloatArray,
    blocks: IntArray,
    power: float | None = None,
) -> Linearised:
    """Estimate every point's word error rate against human transcripts; the formula stands in the module's docstring.

    Args:
        imputed_errors: Errors against the big model's transcripts, shape (n_points, n_utterances).
        imputed_words: Words of the big model's transcripts, shape (n_utterances,).
        sample: Index of every transcribed utterance, shape (n_transcripts,).
        errors: Errors against the human transcripts, shape (n_points, n_transcripts).
        words: Words of the human transcripts, shape (n_transcripts,).
        probabilities: Inclusion probabilities of the transcribed utterances, shape (n_transcripts,), known up to a
            factor that all share.
        blocks: Speaker of every utterance as a number from 0, shape (n_utterances,).
        power: The factor on the imputed errors; tuned for each point where None.

    Raises:
        UsageError: The human transcripts hold no word, the big model's of the corpus or of the sample hold none, or
            the sample is of one speaker only.
    """
    weights = 1 / probabilities
    in_sample = blocks[sample]
    of_block = np.bincount(in_sample, weights * imputed_words[sample], blocks.max() + 1)
    total, true_words = of_block.sum(), float(weights @ words)
    if true_words == 0 or total == 0:
        raise UsageError("the transcripts, or the big model's of the same recordings, hold no word. Transcribe more.")
    share = of_block / total
    effective = 1 / float(share @ share)
    if len(np.unique(in_sample)) < 2 or effective - 1 < 1e-6:
        raise UsageError("the transcripts are of one speaker, which shows no spread. Transcribe further rows.")
    all_words = imputed_words.sum()
    rates = np.empty(len(imputed_errors))
    fitted = np.empty(imputed_errors.shape)
    corrected = np.zeros(imputed_errors.shape)
    for point, imputed in enumerate(imputed_errors):
        residual = imputed - imputed.sum() / all_words * imputed_words  # sums to 0
        shift = total / all_words * residual
        moved = weights * residual[sample]
        direct = weights * (errors[point] - weights @ errors[point] / true_words * words)
        used = _tuned_power(direct, shift, moved, sample) if power is None else power
        rates[point] = (weights @ errors[point] - used * moved.sum()) / true_words
        fitted[point] = used * shift / true_words
        corrected[point, sample] = (weights * (errors[point] - rates[point] * words) - used * moved) / true_words
    leverage = 1 / (1 - np.minimum(share, _GREATEST_SHARE))[blocks]
    return Linearised(
        estimates=rates,
        contributions=(fitted + corrected) * leverage,
        from_sample=corrected * leverage,
        n_transcripts=len(sample),
        freedom=max(1.0, effective - 1),
    )


def _tuned_power(direct: FloatArray, shift: FloatArray, moved: FloatArray, sample: IntArray) -> float:
    """The factor on the imputed errors with which squared contributions, summed over utterances, are least."""
    slope = shift.copy()
    slope[sample] -= moved
    squares = float(slope @ slope)
    return float(np.clip(-(direct @ slope[sample]) / squares, 0.0, 1.0)) if squares > 0 else 1.0
