"""What a server allows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServeSettings"]


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Limits of a server.

    Args:
        max_queue_s: Most seconds that a request may have to wait, as predicted; beyond them it is refused.
        max_audio_s: Most decoded seconds of a recording.
        max_upload_bytes: Most bytes of a request's body.
        max_held_bytes: Most bytes of all uploads that are in memory at once.
        max_open_requests: Most requests that are read, decoded, wait or run at once.
        max_bulk_age_s: Seconds that a bulk request waits before one of its windows goes ahead of interactive ones.
        interactive_s: A recording of at most so many seconds is interactive where the client does not say.
        max_pause_s: Seconds without a byte after which an upload is given up.
        max_upload_s: Most seconds that an upload may take; of a server that is stopping, ``max_pause_s`` from then on.
        stuck_s: Seconds after which a single pass counts as stuck, and the server as not ready.
    """

    max_queue_s: float = 120.0
    max_audio_s: float = 3600.0
    max_upload_bytes: int = 100_000_000
    max_held_bytes: int = 1_000_000_000
    max_open_requests: int = 256
    max_bulk_age_s: float = 10.0
    interactive_s: float = 60.0
    max_pause_s: float = 30.0
    max_upload_s: float = 900.0
    stuck_s: float = 120.0
