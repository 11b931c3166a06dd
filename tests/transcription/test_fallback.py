"""What is done about passes that went wrong, told by an engine that goes wrong on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from allophone.audio.mel import context_frames
from allophone.costs.recognition import recognition_flops
from allophone.costs.transcript import transcript_flops
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.transcription.fallback import decode_with_fallback
from allophone.transcription.recording import transcribe_points
from allophone.transcription.repeats import MOST_REPEATS
from allophone.transcription.windows import DecodeExtras, Window, encode_windows
from builders import tone

FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1.0, tail="last-1", guard=True)
WHOLE = FIT.model_copy(update={"tail": "all"})
UNGUARDED = FIT.model_copy(update={"guard": False})
PAUSE = np.zeros(16_000, np.float32)  # 1 s


class Looping(FakeEngine):
    """Runs into the text-token cap wherever a pass is on these frames, with more than so many seconds of sound."""

    def __init__(self, frames, longest_s=0.0):
        super().__init__("tiny")
        self.frames, self.longest_s, self.encoded = frames, longest_s, []

    def encode(self, mel):
        self.encoded.append(mel.shape)
        return super().encode(mel)

    def decode_batch(self, encoded, **knobs):
        decoded = super().decode_batch(encoded, **knobs)
        if (encoded.shape[1] == 1500) != (self.frames == 3000):  # a fit has its own positions and one of the tail
            return decoded
        return [replace(one, truncated=True) if len(one.tokens) * 0.4 > self.longest_s else one for one in decoded]


def window(samples, start_s=0.0):
    return Window(samples, start_s, start_s + samples.size / 16_000)


def run(engine, windows, point, frames=None, **extras):
    frames = frames or max(context_frames(one.audio.size, point) for one in windows)
    encoded = encode_windows(engine, windows, frames)
    return decode_with_fallback(engine, windows, encoded, point, ["en"] * len(windows), DecodeExtras(**extras))


class Stubborn(FakeEngine):
    """Loops on everything that was encoded on less than a full context, or on all, whatever the penalty."""

    def __init__(self, everywhere=False):
        super().__init__("tiny")
        self.everywhere, self.encoded, self.penalties = everywhere, [], []

    def encode(self, mel):
        self.encoded.append(mel.shape[-1])
        return super().encode(mel)

    def decode_batch(self, encoded, **knobs):
        self.penalties.append(knobs["repetition_penalty"])
        decoded = super().decode_batch(encoded, **knobs)
        if self.encoded[-1] == 3000 and not self.everywhere:
            return decoded
        return [replace(one, text="round and round " * 9, tokens=(1, 2, 1) * 9, truncated=True) for one in decoded]


def test_only_the_rejected_windows_of_a_batch_are_decoded_again_over_what_was_encoded(speech):
    short, long = tone(1.0, 1), [recording.samples for recording in speech[4:6]]
    engine = Looping(frames=600, longest_s=1.5)
    windows = [window(long[0]), window(short), window(long[1])]
    (first,), (second,), (third,) = run(engine, windows, FIT)
    assert [shape[0] for shape in engine.encoded] == [3]
    assert second.rejected is None
    for segment in (first, third):
        assert segment.rejected.truncated
        assert not segment.truncated
        assert (segment.frames, segment.tail_tokens) == (0, 1500)  # behind the whole tail
        assert segment.encode_s == 0 < segment.rejected.encode_s
        assert segment.rejected.frames // 2 + segment.rejected.tail_tokens < 1500


def test_a_loop_behind_the_whole_tail_is_decoded_with_a_penalty_and_then_at_full_context(speech):
    engine = Stubborn()
    ((segment,),) = run(engine, [window(speech[0].samples)], WHOLE)
    assert engine.penalties == [1.0, 1.2, 1.2]
    assert len(engine.encoded) == 2
    passes = Transcript(WHOLE, "", "en", 4.0, (segment,), 0.0, 2).passes
    assert [passed.truncated for passed in passes] == [True, True, False]
    assert [passed.frames for passed in passes[1:]] == [0, 3000]
    assert "round" not in segment.text


def test_where_every_pass_loops_the_repeats_without_audio_are_cut(speech):
    engine = Stubborn(everywhere=True)
    ((segment,),) = run(engine, [window(speech[0].samples)], WHOLE)
    assert len(engine.encoded) == 2
    assert 1 <= segment.text.count("round and round") <= MOST_REPEATS < segment.rejected.text.count("round and round")
    passes = Transcript(WHOLE, "", "en", 4.0, (segment,), 0.0, 2).passes
    assert sorted(passed.frames for passed in passes)[::2] == [0, 3000]


def test_a_low_log_probability_is_given_five_beams_and_no_other_pass(speech):
    class Unsure(FakeEngine):
        def __init__(self):
            super().__init__("tiny")
            self.beams = []

        def decode_batch(self, encoded, **knobs):
            self.beams.append(knobs["beam_size"])
            sure = -1.2 if knobs["beam_size"] == 5 else -1.5
            return [replace(one, avg_logprob=sure) for one in super().decode_batch(encoded, **knobs)]

    engine = Unsure()
    ((segment,),) = run(engine, [window(speech[0].samples)], WHOLE)
    assert engine.beams == [1, 5]
    assert (segment.beam_size, segment.avg_logprob, segment.rejected.avg_logprob) == (5, -1.2, -1.5)
    engine = Unsure()
    ((segment,),) = run(engine, [window(speech[0].samples)], WHOLE.model_copy(update={"beam_size": 5}))
    assert engine.beams == [5]
    assert segment.rejected is None


def test_every_pass_of_the_ladder_is_billed_with_its_own_frames_and_beams(speech):
    engine = Stubborn()
    (transcript,) = transcribe_points(engine, speech[0].samples, [WHOLE])
    first, again, whole = transcript.passes
    flops = transcript_flops(engine.dimensions, transcript)
    alone = [
        recognition_flops(
            engine.dimensions,
            window_frames=[passed.frames],
            window_tail=[passed.tail_tokens],
            window_tokens=[passed.token_count],
            prompt_tokens=transcript.prompt_tokens,
            no_speech_prob=True,
        )
        for passed in (first, again, whole)
    ]
    assert flops.total == sum(part.total for part in alone)
    assert alone[1].encoder == alone[1].stem == 0 < alone[1].cross_kv
    assert transcript.decode_s == sum(passed.decode_s for passed in (first, again, whole))


def test_without_a_guard_a_pass_stays_as_it_is(speech):
    engine = Looping(frames=600)
    ((segment,),) = run(engine, [window(speech[0].samples)], UNGUARDED)
    assert segment.truncated
    assert segment.rejected is None
    assert len(engine.encoded) == 1


def test_points_share_the_full_context(speech):
    engine, windows, whole = Stubborn(), [window(speech[0].samples)], {}
    encoded = encode_windows(engine, windows, 600)
    for stride in (1, 2):
        engine.encoded.append(600)  # what is decoded next
        point = WHOLE.model_copy(update={"token_stride": stride})
        ((segment,),) = decode_with_fallback(engine, windows, encoded, point, ["en"], DecodeExtras(), whole)
        passes = Transcript(point, "", "en", 4.0, (segment,), 0.0, 2).passes
        assert [passed.encode_s for passed in passes if passed.frames == 3000] == [whole[0].encode_s]  # each is charged
    assert engine.encoded.count(3000) == 1


def test_a_packed_window_that_went_wrong_is_cut_at_its_longest_pause(speech):
    longer = np.concatenate([PAUSE, PAUSE])
    parts = [speech[0].samples, PAUSE, speech[1].samples, longer, speech[2].samples]
    audio = np.concatenate(parts)
    engine = Looping(frames=3000, longest_s=audio.size / 16_000 - 1.5)
    ((first, second),) = run(engine, [window(audio, start_s=100.0)], FIT, frames=3000)
    assert first.rejected.truncated
    assert (first.rejected.start_s, first.rejected.end_s) == (100.0, 100.0 + audio.size / 16_000)
    assert (first.start_s, second.end_s) == (first.rejected.start_s, first.rejected.end_s)
    assert first.end_s == second.start_s
    silent_from = 100.0 + sum(part.size for part in parts[:3]) / 16_000
    assert silent_from < first.end_s < silent_from + 2.0
    assert second.rejected is None
    assert not first.truncated
    assert not second.truncated


def test_a_full_window_without_a_pause_stays_as_it_is(speech):
    engine = Looping(frames=3000)
    ((segment,),) = run(engine, [window(speech[1].samples)], FIT, frames=3000)
    assert segment.truncated
    assert len(engine.encoded) == 1


def test_speech_is_searched_only_where_a_pass_looks_wrong(speech, monkeypatch):
    def refuse(*_):
        raise AssertionError("searched")

    monkeypatch.setattr("allophone.transcription.fallback.speech_spans", refuse)
    ((segment,),) = run(FakeEngine("tiny"), [window(speech[0].samples)], FIT)
    assert segment.text
    with pytest.raises(AssertionError, match="searched"):
        run(Looping(frames=600), [window(speech[0].samples)], FIT)


def test_a_loop_on_what_is_no_speech_is_dropped_and_not_run_again():
    engine = Looping(frames=600)
    ((segment,),) = run(engine, [window(tone(4.0, 1))], FIT)
    assert (segment.text, segment.tokens, segment.truncated, segment.rejected) == ("", (), True, None)
    assert segment.token_count > 1
    assert len(engine.encoded) == 1


def test_parts_that_go_wrong_are_cut_or_run_again_and_everything_is_charged(speech):
    class Impatient(Looping):
        def decode_batch(self, encoded, **knobs):
            found = FakeEngine.decode_batch(self, encoded, **knobs)
            return [replace(one, truncated=True) if len(one.tokens) * 0.4 > self.longest_s else one for one in found]

    parts = [
        speech[0].samples[:32_000],
        PAUSE,
        PAUSE,
        *(part for one in (speech * 2)[1:] for part in (one.samples, PAUSE)),
    ]
    audio = np.concatenate(parts)[: 29 * 16_000]
    (segments,) = run(Impatient(frames=0, longest_s=12.0), [window(audio)], FIT, frames=3000)
    assert len(segments) >= 3  # the long part was cut again: its own context was nearly full
    passes = Transcript(FIT, "", "en", 29.0, tuple(segments), 0.0, 2).passes
    assert sum(passed.truncated for passed in passes) >= 2
    assert [passed.end_s - passed.start_s for passed in passes[:1]] == [29.0]
    edges = [edge for segment in segments for edge in (segment.start_s, segment.end_s)]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1]) == (0.0, 29.0)


class Stopping(FakeEngine):
    """Ends after so many words wherever there are more."""

    def __init__(self, most):
        super().__init__("tiny", perfect=True)
        self.most, self.frames, self.aligned = most, [], 0

    def encode(self, mel):
        self.frames.append(mel.shape[-1])
        return super().encode(mel)

    def decode_batch(self, encoded, **knobs):
        return [
            replace(
                one, text=" ".join(one.text.split()[: self.most]), tokens=one.tokens[: self.most], token_count=self.most
            )
            if len(one.tokens) > self.most
            else one
            for one in super().decode_batch(encoded, **knobs)
        ]

    def align(self, *arguments, **knobs):
        self.aligned += 1
        return super().align(*arguments, **knobs)


def test_text_that_ends_before_the_speech_goes_on_in_a_window_of_its_own(speech):
    audio = np.concatenate([one.samples for one in speech[:2]])
    size_s = audio.size / 16_000
    engine = Stopping(most=round(size_s))  # of about 2.5 words a second
    (segments,) = run(engine, [window(audio, start_s=50.0)], FIT)
    assert len(segments) >= 2
    assert engine.frames == sorted(engine.frames, reverse=True)  # each rest is shorter
    edges = [edge for segment in segments for edge in (segment.start_s, segment.end_s)]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1]) == (50.0, 50.0 + size_s)
    told_s = segments[0].end_s - 50.0
    assert told_s == pytest.approx(0.4 * engine.most, abs=1.0)
    ((alone,),) = run(Stopping(most=engine.most), [window(audio)], UNGUARDED)
    assert len(alone.tokens) == engine.most < sum(len(segment.tokens) for segment in segments)


def test_a_slow_speaker_is_looked_up_and_left_alone(speech, monkeypatch):
    audio = speech[0].samples
    engine = Stopping(most=6)
    spoken = [(0, 6 * 6_400)]  # six words of 0.4 s, then a pause as long as it likes
    monkeypatch.setattr("allophone.transcription.fallback.speech_spans", lambda *_: spoken)
    padded = np.concatenate([audio[: 6 * 6_400], np.zeros(10 * 16_000, np.float32)])
    ((segment,),) = run(engine, [window(padded)], FIT)
    assert segment.token_count <= 7
    assert len(engine.frames) == 1


def test_speech_that_is_known_is_not_searched_again(speech, monkeypatch):
    monkeypatch.setattr("allophone.transcription.fallback.speech_spans", lambda *_: pytest.fail("searched"))
    audio = np.concatenate([one.samples for one in speech[:2]])
    known = replace(window(audio), speech=((0, audio.size),))
    (segments,) = run(Stopping(most=round(audio.size / 16_000)), [known], FIT)
    assert len(segments) >= 2
    quiet = replace(known, speech=((0, 5 * 16_000),))  # 5 s of speech are too few to be suspicious
    (segments,) = run(Stopping(most=round(audio.size / 16_000)), [quiet], FIT)
    assert len(segments) == 1


def test_of_two_passes_that_are_no_loops_the_likelier_stays(speech):
    class Worse(FakeEngine):
        def decode_batch(self, encoded, **knobs):
            sure = -2.0 if knobs["beam_size"] == 5 else -1.5
            return [replace(one, avg_logprob=sure) for one in super().decode_batch(encoded, **knobs)]

    ((segment,),) = run(Worse("tiny"), [window(speech[0].samples)], FIT)
    assert (segment.avg_logprob, segment.rejected.avg_logprob) == (-1.5, -2.0)
    assert (segment.beam_size, segment.rejected.beam_size) == (None, 5)
