"""Audio decoding: any recording that PyAV reads, to 16 kHz mono float32 samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from allophone.audio.damage import SLACK_S, Damage, damage_notices
from allophone.audio.faults import as_audio_error, reason_of
from allophone.audio.source import IN_MEMORY_NAME, Source, open_source
from allophone.audio.timeline import Timeline, refuse_implausible
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError, AudioTooLongError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AUDIO_SUFFIXES", "LONGEST_S", "DecodedAudio", "decode_audio", "load_audio"]

LONGEST_S = 4 * 3600.0  # decoded, an hour takes 230 MB
AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "eac3", "f4v"),
        *("flac", "flv", "m2ts", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg", "mts"),
        *("oga", "ogg", "ogv", "opus", "rf64", "snd", "spx", "ts", "tta", "voc", "vob", "w64", "wav", "weba", "webm"),
        *("wma", "wmv", "wv"),
    )
)
_LEAST_BYTES_PER_S = 16  # speech codecs begin at 50; a file that claims more sound has a damaged header
_ALWAYS_BELIEVED_S = 600.0
_COUNTED_S = 3600.0  # from here on, packets are counted before more memory is filled
_BARE_FRAMES = frozenset({"aac", "ac3", "amr", "eac3", "mp3"})  # FFmpeg's names of formats
# Formats whose packets carry time stamps, and how far these may be off: containers round them, encoders begin a little
# early. FLAC frames are numbered. In other formats FFmpeg counts what it has read.
_TOLERANCES_S = {"flac": 0.005, **dict.fromkeys(("asf", "flv", "matroska", "mov", "mpeg", "mpegts", "ogg"), 0.1)}
_SOUGHT = frozenset({"aiff", "caf", "flac", "matroska", "mov", "ogg", "w64", "wav"})  # where seeking is exact
_PREROLL_S = 1.0  # decoders need some packets before their output is right
_ATTEMPTS = 50  # to read on after an error of the container
_QUIET = 0.02  # RMS: -34 dB of full scale
_CANCELLED = 10.0  # a channel over the mix, RMS: 20 dB


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """A recording's samples.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz, in [-1, 1).
        notices: What is odd about the recording and was dealt with, one sentence each without a full stop.
        name: The recording, as messages call it.
    """

    samples: NDArray[np.float32]
    notices: tuple[str, ...] = ()
    name: str = "samples"


def load_audio(
    path: Path, *, offset_s: float = 0.0, duration_s: float | None = None, longest_s: float = LONGEST_S
) -> NDArray[np.float32]:
    """Decode a recording and return its samples alone; arguments and errors are those of :func:`decode_audio`."""
    return decode_audio(path, offset_s=offset_s, duration_s=duration_s, longest_s=longest_s).samples


def decode_audio(
    path: Path | BinaryIO,
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    longest_s: float = LONGEST_S,
    pipes: bool = False,
) -> DecodedAudio:
    """Decode a recording, or a part of it.

    Samples pass through 16 bits, as in openai/whisper and faster-whisper: FFmpeg then mixes channels down without
    raising the level, and clips. Times are the container's: where sound begins after the picture, or time stamps leave
    a gap, there is silence. A packet that cannot be decoded is skipped and told of. Where the two channels of a
    recording are each other's negative, so that the mix is silent, the louder one is taken.

    Args:
        path: Any file with an audio stream, or its bytes in memory, open for reading, which may name no other file;
            several channels are mixed down, any rate is resampled.
        offset_s: Where to begin.
        duration_s: Seconds to decode from there; to the end where None.
        longest_s: Most seconds of audio.
        pipes: Whether the path may be a pipe, which is read to its end first.

    Raises:
        AudioError: The file is missing, empty, has no audio stream, holds no sample, ends before the length that its
            container states or before ``offset_s``, is too damaged, or states what no recorder makes.
        AudioTooLongError: It lasts over ``longest_s``.
    """
    import numpy as np

    name = str(path) if isinstance(path, Path) else IN_MEMORY_NAME
    whole = offset_s == 0.0 and duration_s is None
    clip = _Clip(offset_s, None if duration_s is None else offset_s + duration_s, longest_s)
    with as_audio_error(name), open_source(path, longest_s=longest_s, pipes=pipes, whole=whole) as source:
        mixed = _decode_parts(source, clip, None)
        samples = np.frombuffer(mixed.samples, np.float32)
        notices = [*source.notices, *mixed.notices]
        if mixed.channels == 2 and _rms(samples) < _QUIET:
            sides = [_decode_parts(source, clip, channel) for channel in range(2)]
            loudness = [_rms(np.frombuffer(side.samples, np.float32)) for side in sides]
            louder = int(np.argmax(loudness))
            if loudness[louder] > _CANCELLED * _rms(samples) and loudness[louder] > 1 / 32768:
                samples = np.frombuffer(sides[louder].samples, np.float32)
                side = ("left", "right")[louder]
                notices.append(f"its channels cancel each other out when mixed; the {side} one is taken alone")
    return DecodedAudio(samples, tuple(notices), name)


@dataclass(frozen=True, slots=True)
class _Clip:
    """What is wanted of a recording, in seconds; to the end where ``end_s`` is None."""

    offset_s: float
    end_s: float | None
    longest_s: float

    @property
    def whole(self) -> bool:
        return self.offset_s == 0.0 and self.end_s is None


@dataclass(slots=True)
class _Decoded:
    samples: bytearray = field(default_factory=bytearray)
    notices: list[str] = field(default_factory=list)
    channels: int = 0


def _decode_parts(source: Source, clip: _Clip, channel: int | None) -> _Decoded:
    if len(source.targets) == 1:
        return _decode(source, source.targets[0], clip, channel)
    joined = _Decoded()
    for target in source.targets:
        part = _decode(source, target, _Clip(0.0, None, clip.longest_s), channel)
        joined.samples += part.samples
        joined.notices += part.notices
        joined.channels = part.channels
        _check_length(source, clip, len(joined.samples) / 4 / SAMPLE_RATE)
    if not clip.whole:
        joined.samples = _cut(source.name, joined.samples, 0.0, clip)
    return joined


def _decode(source: Source, target: Any, clip: _Clip, channel: int | None) -> _Decoded:
    import av

    name = source.name
    if not isinstance(target, str):
        target.seek(0)
    try:
        with av.open(target, mode="r", options=source.options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: holds no audio stream. Give a recording, such as wav, flac, mp3 or opus.")
            stream = container.streams.audio[0]
            context = stream.codec_context
            if context is None:
                raise AudioError(f"{name}: its codec is unknown, or its header is damaged. Convert it to wav or flac.")
            refuse_implausible(name, context.sample_rate, context.channels)
            stated_s = _stated_duration_s(container, stream) if clip.whole else None
            if stated_s is not None:
                _check_length(source, clip, stated_s)
            if context.name == "flac":  # its frames have checksums, which are looked at only where asked for
                context.options = {"err_detect": "crccheck+explode"}
            exact = container.format.name == "flac"
            timeline, damage = _fill_timeline(source, container, stream, stated_s, clip, channel)
    except (av.error.FFmpegError, EOFError, UnicodeDecodeError) as error:
        raise AudioError(f"{name}: not readable as audio ({reason_of(error)}). Convert it to wav or flac.") from None
    if not timeline.samples and clip.whole:
        raise AudioError(f"{name}: decodes to no audio at all{damage.why}. Record or copy it again.")
    notices = damage_notices(source, timeline, damage, stated_s, exact=exact)
    samples = timeline.samples if clip.whole else _cut(name, timeline.samples, timeline.begin_s, clip)
    return _Decoded(samples, notices, timeline.channels)


def _fill_timeline(
    source: Source, container: Any, stream: Any, stated_s: float | None, clip: _Clip, channel: int | None
) -> tuple[Timeline, Damage]:
    import av

    counted = False

    def check(position_s: float, silent_s: float) -> None:
        nonlocal counted
        _check_length(source, clip, position_s)
        _check_bytes(source, position_s - silent_s)
        if not counted and clip.whole and position_s > max(_COUNTED_S, (stated_s or 0.0) + 60.0):
            counted = True
            _check_length(source, clip, _counted_s(source))

    kind = container.format.name.partition(",")[0]
    sought = clip.offset_s > _PREROLL_S and kind in _SOUGHT
    from_zero = source.from_zero or kind == "flac"
    origin_s = 0.0 if from_zero else (container.start_time or 0) / 1_000_000  # AV_TIME_BASE: microseconds
    if sought:
        container.seek(int((origin_s + clip.offset_s - _PREROLL_S) * 1_000_000))
    timeline = Timeline(
        source.name,
        origin_s=origin_s,
        tolerance_s=_TOLERANCES_S.get(kind),
        sought=sought,
        channel=channel,
        check=check,
    )
    damage = Damage()
    for packet in _packets(container, stream, damage, lambda: timeline.clock_s):
        damage.n_packets += packet.size > 0
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            seconds = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
            damage.add(error, seconds, timeline.clock_s, bytes(packet)[:1])
            timeline.miss(seconds)
            continue
        for frame in frames:
            timeline.put(frame)
        if frames and packet.size:  # not what the decoder still held at the end
            damage.n_trailing, damage.good_end = 0, (packet.pos or 0) + packet.size
        if clip.end_s is not None and timeline.clock_s > clip.end_s + SLACK_S:
            break
    timeline.finish()
    return timeline, damage


def _packets(container: Any, stream: Any, damage: Damage, clock_s: Callable[[], float]) -> Iterator[Any]:
    """Yield packets, the empty one that ends the decoder last, and read on where the container is damaged."""
    import av

    failed = 0
    while failed < _ATTEMPTS:
        try:
            for packet in container.demux(stream):
                failed = 0
                yield packet
            return
        except av.error.FFmpegError as error:
            damage.add(error, 0.0, clock_s())
            failed += 1
    yield av.Packet()


def _counted_s(source: Source) -> float:
    """Return the length of all packets together; 0 where they cannot be read a second time."""
    import av

    if not source.reopens:
        return 0.0
    with av.open(source.targets[0], mode="r", options=source.options, metadata_errors="ignore") as container:
        stream = container.streams.audio[0]
        ticks = 0
        with suppress(av.error.FFmpegError):  # told when its place is reached
            for packet in container.demux(stream):
                ticks += packet.duration or 0
        return float(ticks * stream.time_base)


def _check_length(source: Source, clip: _Clip, until_s: float) -> None:
    wanted_s = (until_s if clip.end_s is None else clip.end_s) - clip.offset_s
    if wanted_s > clip.longest_s:
        raise AudioTooLongError(
            f"{source.name}: lasts over {clip.longest_s:g} s, the most that is read. Cut it into parts, or raise the "
            "limit (--max-audio-s)."
        )


def _check_bytes(source: Source, sound_s: float) -> None:
    if sound_s > max(_ALWAYS_BELIEVED_S, source.size / _LEAST_BYTES_PER_S):
        raise AudioError(
            f"{source.name}: {source.size} bytes claim to hold over {sound_s:.0f} s of sound, more than any codec "
            "packs into them. It is damaged: copy it again."
        )


def _cut(name: str, samples: bytearray, begin_s: float, clip: _Clip) -> bytearray:
    end_s = begin_s + len(samples) / 4 / SAMPLE_RATE
    first = round((clip.offset_s - begin_s) * SAMPLE_RATE)
    last = None if clip.end_s is None else first + round((clip.end_s - clip.offset_s) * SAMPLE_RATE)
    if first < 0:
        raise AudioError(f"{name}: cannot be read from {clip.offset_s:g} s on. Convert it to wav or flac.")
    if not samples or clip.offset_s >= end_s:
        end = f"at {end_s:.2f} s, " if samples else ""
        raise AudioError(f"{name}: ends {end}before the offset {clip.offset_s:g} s. Check the manifest.")
    if clip.end_s is not None and clip.end_s > end_s + SLACK_S:
        raise AudioError(
            f"{name}: ends at {end_s:.2f} s, before {clip.end_s:g} s (offset and duration). Check the manifest."
        )
    cut = samples[4 * first : None if last is None else 4 * last]
    if not cut:
        raise AudioError(f"{name}: no sample from {clip.offset_s:g} s on. Check the manifest.")
    return cut


def _rms(samples: NDArray[np.float32]) -> float:
    power = float(samples @ samples) / max(1, samples.size)
    return sqrt(power)


def _stated_duration_s(container: Any, stream: Any) -> float | None:
    if stream.duration is None or stream.time_base is None:
        if container.duration is None or len(container.streams) > 1:  # the container's may be that of its video
            return None
        return float(container.duration) / 1_000_000
    stated_s = float(stream.duration * stream.time_base)
    # A bare sequence of frames (ADTS, MP3 without a Xing header) states nothing; FFmpeg guesses from the first
    # frames' bit rate, which can be ten times wrong. Such a guess always fits the size of the file.
    guessable = container.format.name in _BARE_FRAMES and stream.bit_rate
    if guessable and container.size * 8 / stream.bit_rate > 0.98 * stated_s:
        return None
    return stated_s
