"""Damage of a recording: packets that could not be decoded, lengths that are not kept, and what is told or refused."""

from __future__ import annotations

from dataclasses import dataclass

from allophone.audio.faults import reason_of
from allophone.audio.source import Source
from allophone.audio.timeline import Timeline
from allophone.errors import AudioError

__all__ = ["SLACK_S", "Damage", "damage_notices"]

# A container may promise a little more than its last packet holds (encoder delay, rounded durations).
SLACK_S = 0.5
_SLACK_SHARE = 0.005
_EXACT_SLACK_S = 0.1  # for FLAC, which counts samples
_TOLD_S = 0.02  # missing behind the last packet that can be decoded
_DAMAGED_SHARE = 0.1  # of a recording's packets or length; with more it is refused
_JUNK_SHARE = 0.25  # of the bytes of a file that states no length, behind its last frame


@dataclass(slots=True)
class Damage:
    """Packets that could not be decoded: all, those behind the last good one, and the seconds that they stand for.

    ``cut`` says whether the last of them began as a frame of a bare sequence does, ``good_end`` is the byte behind the
    last good one.
    """

    n_packets: int = 0
    n_failed: int = 0
    n_trailing: int = 0
    lost_s: float = 0.0
    first_s: float = 0.0
    reason: str = ""
    cut: bool = False
    good_end: int = 0

    def add(self, error: Exception, seconds: float, at_s: float, head: bytes = b"") -> None:
        """Count a packet that could not be decoded.

        Args:
            error: What the decoder raised.
            seconds: Length of the packet.
            at_s: Where it stands in the recording.
            head: Its first bytes.
        """
        if not self.n_failed:
            self.first_s, self.reason = at_s, reason_of(error)
        self.n_failed += 1
        self.n_trailing += 1
        self.lost_s += seconds
        self.cut = head[:1] == b"\xff"  # a frame's mark: the frame itself is not all there

    @property
    def why(self) -> str:
        """The first error in brackets, to stand behind a sentence; empty where there was none."""
        return f" ({self.reason})" if self.reason else ""


def damage_notices(
    source: Source, timeline: Timeline, damage: Damage, stated_s: float | None, *, exact: bool
) -> list[str]:
    """Refuse a recording that is cut or too damaged, and return what there is to tell of one that is not.

    Args:
        source: The recording.
        timeline: Its samples.
        damage: What could not be decoded.
        stated_s: Its length as it states it; None where it states none.
        exact: Whether its frames are numbered and its samples counted, so that a gap is damage.

    Returns:
        Sentences without a full stop.

    Raises:
        AudioError: More is lost than a recording may lose.
    """
    name, notices, slack_s = source.name, [], _EXACT_SLACK_S if exact else SLACK_S
    gap_s = sum(timeline.gaps_s)
    if exact and gap_s > max(slack_s, _DAMAGED_SHARE * timeline.clock_s):
        raise AudioError(f"{name}: damaged: {gap_s:.1f} of {timeline.clock_s:.1f} s cannot be decoded. Copy it again.")
    inner = damage.n_failed - damage.n_trailing
    missing_s = 0.0 if stated_s is None else stated_s - timeline.end_s
    if stated_s is not None and missing_s > max(slack_s, _SLACK_SHARE * stated_s):
        explained = inner and missing_s - damage.lost_s <= slack_s and missing_s <= _DAMAGED_SHARE * stated_s
        if not explained:
            raise AudioError(
                f"{name}: truncated or damaged: {timeline.clock_s:.1f} s could be decoded of the {stated_s:.1f} s that "
                f"the file states{damage.why}. Copy it again."
            )
    if inner > _DAMAGED_SHARE * damage.n_packets:
        raise AudioError(
            f"{name}: damaged: {inner} of {damage.n_packets} packets cannot be decoded{damage.why}. Copy it again."
        )
    if stated_s is None and damage.n_trailing:
        if damage.n_trailing == 1 and damage.cut:
            raise AudioError(f"{name}: truncated: its last frame, at {timeline.clock_s:.1f} s, is cut. Copy it again.")
        if source.reopens and source.size - damage.good_end > _JUNK_SHARE * source.size:
            raise AudioError(f"{name}: damaged: nothing can be decoded after {timeline.clock_s:.1f} s{damage.why}.")
    if inner:
        notices.append(
            f"{inner} of {damage.n_packets} packets cannot be decoded and were skipped, the first at "
            f"{damage.first_s:.1f} s{damage.why}"
        )
    elif (damage.n_failed and stated_s is None) or ((damage.n_failed or exact) and missing_s > _TOLD_S):
        notices.append(f"what follows {timeline.clock_s:.1f} s cannot be decoded{damage.why}")
    if timeline.gaps_s:
        count = f"{len(timeline.gaps_s)} gaps" if len(timeline.gaps_s) > 1 else "a gap"
        what = "of damaged frames" if exact else "in its time stamps"
        notices.append(f"{count} {what}, {gap_s:.1f} s in all, filled with silence")
    return notices
