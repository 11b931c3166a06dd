import pytest

from allophone.costs.speech import conv_lengths, speech_flops, speech_tokens, whisper_pooled_flops
from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, speech_encoder_dimensions
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError

BASE = speech_encoder_dimensions("wav2vec2-base")


def test_front_end_turns_4_s_into_199_tokens():
    # 64000 samples: (64000 - 10) // 5 + 1, then kernel 3 stride 2 four times, kernel 2 stride 2 twice
    assert conv_lengths(BASE, 64_000) == (12_799, 6_399, 3_199, 1_599, 799, 399, 199)


def test_base_on_4_s_by_hand():
    # stem: 2·512·(10·12799 + 3·512·(6399 + 3199 + 1599 + 799) + 2·512·(399 + 199))
    # projection: 2·512·768·199; position: 2·768·48·128·200
    # encoder: 12 · (2·(4·768² + 2·768·3072)·199 + 4·768·199²); head: 2·2·768·6
    flops = speech_flops(BASE, samples=64_000, classes=6)
    assert flops.stem == 131_061_760 + 18_868_076_544 + 627_048_448
    assert flops.projection == 156_499_968
    assert flops.position == 1_887_436_800
    assert flops.encoder == 12 * (2_816_999_424 + 121_654_272)
    assert flops.head == 18_432
    assert flops.total == flops.stem + flops.projection + flops.position + flops.encoder + flops.head
    assert flops.macs_total * 2 == flops.total


@pytest.mark.parametrize(("name", "share"), [("wav2vec2-base", 0.345), ("wav2vec2-large-robust", 0.133)])
def test_share_of_the_front_end_at_4_s(name, share):
    flops = speech_flops(speech_encoder_dimensions(name), samples=64_000, classes=4)
    assert flops.stem_share == pytest.approx(share, abs=5e-4)


def test_wavlm_s_gate_is_all_that_it_adds():
    # 12 layers · 2·8·768·199
    plain, gated = (
        speech_flops(speech_encoder_dimensions(name), samples=64_000, classes=6)
        for name in ("hubert-base", "wavlm-base")
    )
    assert gated.total - plain.total == 12 * 2 * 8 * 768 * 199


@pytest.mark.parametrize("name", SPEECH_ENCODERS)
def test_the_shortest_audio_is_400_samples(name):
    dims = SPEECH_ENCODERS[name]
    assert speech_tokens(dims, 400) == 1
    with pytest.raises(SpaceError, match="needs 400"):
        speech_tokens(dims, 399)


def test_pooled_whisper_by_hand():
    # 400 frames, 200 tokens: stem 2·3·80·384·400 + 2·3·384²·200; encoder 4·(24·384²·200 + 4·384·200²); head 2·2·384·6
    flops = whisper_pooled_flops(whisper_dimensions("tiny"), frames=400, classes=6)
    assert flops.stem == 73_728_000 + 176_947_200
    assert flops.encoder == 4 * (707_788_800 + 61_440_000)
    assert (flops.projection, flops.position, flops.head) == (0, 0, 9_216)


def test_impossible_knobs_name_the_limit():
    with pytest.raises(SpaceError, match="at least 2"):
        speech_flops(BASE, samples=64_000, classes=1)
    with pytest.raises(SpaceError, match="1 to 3000"):
        whisper_pooled_flops(whisper_dimensions("tiny"), frames=3001, classes=6)
    with pytest.raises(SpaceError, match="at least 2"):
        whisper_pooled_flops(whisper_dimensions("tiny"), frames=300, classes=0)
