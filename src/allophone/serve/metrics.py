"""Counters for Prometheus; labels come from closed sets, never from a client."""

from __future__ import annotations

from math import exp

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from allophone.records.transcript import Transcript
from allophone.serve.cost import RequestCost
from allophone.serve.work_queue import WorkQueue

__all__ = ["ServeMetrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_PROBABILITIES = tuple(tenth / 10 for tenth in range(1, 11))


class ServeMetrics:
    """All metrics of one server, in a registry of its own.

    Args:
        queue: Read for what waits and runs.
        models: Names of the models that are loaded.
    """

    def __init__(self, queue: WorkQueue, models: tuple[str, ...]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "allophone_requests", "Requests answered.", ("endpoint", "code"), registry=self.registry
        )
        running = Gauge("allophone_requests_running", "Requests of which a pass has begun.", registry=self.registry)
        running.set_function(lambda: queue.state().running)
        waiting = Gauge(
            "allophone_requests_waiting", "Requests that wait for their first pass.", registry=self.registry
        )
        waiting.set_function(lambda: queue.state().waiting)
        queued = Gauge(
            "allophone_queued_work_seconds", "Predicted seconds until all work is done.", registry=self.registry
        )
        queued.set_function(lambda: queue.state().queued_s)
        self.duration = Histogram(
            "allophone_request_duration_seconds",
            "From the request's head to the reply's end.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queued = Histogram(
            "allophone_queue_duration_seconds",
            "From admission to the first pass.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "allophone_stage_duration_seconds",
            "Seconds in each stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_delta = Histogram(
            "allophone_time_to_first_delta_seconds",
            "Until a stream's first text.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.audio = Counter("allophone_audio_seconds", "Seconds of audio transcribed.", registry=self.registry)
        self.compute = Counter(
            "allophone_compute_seconds", "Seconds of encoder and decoder.", ("model", "context"), registry=self.registry
        )
        self.gflops = Counter("allophone_executed_gflops", "GFLOPs executed.", registry=self.registry)
        self.reference = Counter(
            "allophone_reference_gflops",
            "GFLOPs that always running the dearest setting would take.",
            registry=self.registry,
        )
        self.positions = Counter(
            "allophone_encoder_positions",
            "Encoder positions run: with audio, and padded or repeated.",
            ("kind",),
            registry=self.registry,
        )
        self.routes = Counter(
            "allophone_route", "Requests by the point that was kept.", ("choice",), registry=self.registry
        )
        self.fallbacks = Counter("allophone_fallback", "Transcripts by flag.", ("reason",), registry=self.registry)
        self.rejected = Counter("allophone_rejected", "Requests refused.", ("reason",), registry=self.registry)
        self.dropped = Counter(
            "allophone_audio_dropped_seconds",
            "Accepted audio that was not transcribed though its client waited.",
            registry=self.registry,
        )
        self.cancelled = Counter(
            "allophone_requests_cancelled", "Requests whose client went away.", registry=self.registry
        )
        self.confidence = Histogram(
            "allophone_confidence", "Mean token probability of passes.", buckets=_PROBABILITIES, registry=self.registry
        )
        self.transcripts = 0
        loaded = Gauge("allophone_model_loaded", "Models in memory.", ("model",), registry=self.registry)
        for model in models:
            loaded.labels(model).set(1)

    def count_transcript(self, transcript: Transcript, cost: RequestCost) -> None:
        """Count a transcript that was made."""
        self.transcripts += 1
        self.audio.inc(transcript.duration_s)
        self.gflops.inc(cost.gflops)
        self.reference.inc(cost.reference_gflops)
        self.queued.observe(cost.queue_s)
        for stage, seconds in cost.seconds().items():
            if stage != "queue":
                self.stages.labels(stage).observe(seconds)
        point = transcript.point
        self.compute.labels(point.model_slug, point.context).inc(cost.encode_s + cost.generate_s)
        self.positions.labels("used").inc(cost.positions_used)
        self.positions.labels("padded").inc(cost.positions_padded)
        self.routes.labels(cost.point).inc()
        for flag in cost.flags:
            self.fallbacks.labels(flag).inc()
        for segment in transcript.segments:
            if segment.text:
                self.confidence.observe(exp(min(0.0, segment.avg_logprob)))

    def total(self, name: str) -> float:
        """Return the value of a metric without labels."""
        return self.registry.get_sample_value(name) or 0.0

    def render(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return generate_latest(self.registry)
