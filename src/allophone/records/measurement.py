"""Measurements: the ledger's rows, one per utterance and operating point.

A row holds inputs first, then raw counts, then nothing: rates are computed where they are read, so that sums over
utterances stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EmotionMeasurement", "Measurement"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One ledger row: one utterance through one operating point. Columns of ``measurements/POINT.parquet``.

    Times are seconds and what this point alone would pay, even where an encoder pass was shared. ``latency_s`` is
    ``prepare_s + encode_s + decode_s``; reading the file (``load_s``) is the same for every point and stands apart.
    ``roofline_s`` is the least time that the executed FLOPs and the weights read take at this machine's measured rates.
    FLOPs are counted by two conventions, ``executed`` and ``published`` (docs/conventions.md).
    The ``window_`` lists have one entry per pass; of a window that the guard had run twice, the rejected pass comes
    first, and ``rejected_windows`` counts them. ``token_logprobs`` and ``token_entropies`` (nats) are those of all
    tokens of the passes that stayed, end-of-text included; reading them took ``confidence_s``, no part of latency.
    ``utterance_index`` is the place in the corpus, from 0. ``normalizer`` names how both texts were normalised before
    the words were counted. ``relative_to`` names the model whose transcripts stand in for references, or is None where
    the reference is the corpus's own. ``error`` names why an utterance could not be measured; the counts are then 0
    and the row enters no rate. ``snr_db`` is estimated from the recording (:mod:`allophone.audio.snr`); None where it
    cannot be, and in runs of before there was such a column. ``cpu_s`` is the processor time of all threads of the
    worker within ``latency_s``, ``load_average`` the system's over the last minute, ``threads`` how many the run's own
    workers may keep busy at once; None where the system does not tell,
    on a GPU (``cpu_s``), and in older runs.
    ``peak_memory_bytes`` is watched on some recordings only, in a pass of its own: None elsewhere. ``notice`` says what
    is odd about a recording that was measured all the same, such as packets that cannot be decoded. The ``character_``
    counts are those of the same texts character by character, white space left out; None in older runs.
    """

    point: str
    utterance_index: int
    utterance_id: str
    speaker: str | None
    duration_s: float
    reference: str
    hypothesis: str
    normalizer: str
    relative_to: str | None
    hits: int
    substitutions: int
    insertions: int
    deletions: int
    text_tokens: int
    prompt_tokens: int
    window_frames: list[int]
    window_tail: list[int]
    window_tokens: list[int]
    truncated_windows: int
    rejected_windows: int
    avg_logprob: float | None
    no_speech_prob: float | None
    compression_ratio: float | None
    token_logprobs: list[float]
    token_entropies: list[float]
    confidence_s: float
    load_s: float
    prepare_s: float
    encode_s: float
    decode_s: float
    latency_s: float
    executed_flops: int
    published_flops: int
    roofline_s: float | None
    peak_memory_bytes: int | None
    error: str | None
    snr_db: float | None = None
    cpu_s: float | None = None
    load_average: float | None = None
    threads: int | None = None
    notice: str | None = None
    character_hits: int | None = None
    character_substitutions: int | None = None
    character_insertions: int | None = None
    character_deletions: int | None = None


@dataclass(frozen=True, slots=True)
class EmotionMeasurement:
    """One ledger row: one test utterance through one trained setting. Columns of ``measurements/POINT.parquet``.

    ``utterance_index`` is the place in the corpus, from 0. The recogniser was trained on other speakers, those of
    ``fold``, from the initial weights of ``seed``. ``posterior`` has a calibrated probability a label, in the run's
    order of labels; ``predicted`` is the most probable one. ``duration_s`` is the length of the recording, ``heard_s``
    what the recogniser heard of it. ``latency_s`` runs from samples in memory to the posterior, one clip at a time;
    ``executed_flops`` are those of one inference. ``error`` names why an utterance could not be used; the row then
    enters no rate. ``cpu_s``, ``load_average`` and ``threads`` are as in :class:`allophone.records.Measurement`.
    """

    point: str
    utterance_index: int
    utterance_id: str
    speaker: str | None
    label: str
    predicted: str | None
    correct: bool
    posterior: list[float]
    fold: str
    seed: int
    duration_s: float
    heard_s: float
    latency_s: float | None
    executed_flops: int
    error: str | None
    cpu_s: float | None = None
    load_average: float | None = None
    threads: int | None = None
