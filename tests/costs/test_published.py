from fractions import Fraction

import pytest

from allophone.costs.parameters import model_parameters
from allophone.costs.published import published_ser_flops, published_whisper_flops
from allophone.costs.reproduction import (
    ASR_TABLE,
    SER_TABLE,
    prints_as,
    reproduce,
    reproducing_text_tokens,
)
from allophone.dimensions.speech_encoders import speech_encoder_dimensions
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError


def test_tiny_at_stride_1_by_hand():
    # encoder: 4 · (2·1500·384·(4·384 + 1500) + 16·1500·384²) = 4 · (3,497,472,000 + 3,538,944,000)
    # decoder: 4 · (2·1500·384² + 10·384²) · 20 = 4 · 443,842,560 · 20
    flops = published_whisper_flops(whisper_dimensions("tiny"), audio_tokens=1500, text_tokens=20)
    assert flops.encoder == 28_145_664_000
    assert flops.decoder == 35_507_404_800
    assert flops.total == 63_653_068_800


def test_a_stride_that_leaves_a_remainder_is_not_rounded():
    flops = published_whisper_flops(whisper_dimensions("tiny"), audio_tokens=1, text_tokens=1, token_stride=3)
    assert flops.decoder == 4 * (2 * Fraction(1, 3) + 10) * 384 * 384


def test_stride_0_is_an_error():
    with pytest.raises(SpaceError, match="least is 1"):
        published_whisper_flops(whisper_dimensions("tiny"), audio_tokens=1500, text_tokens=20, token_stride=0)


def test_ser_by_hand():
    assert published_ser_flops(94_569_604, 4.0) == 2 * 94_569_604 * 50 * 4
    assert published_ser_flops(10, 0.1) == 100


# Text tokens with which the formula gives the printed digits, row by row of the paper.
TEXT_TOKENS = [19, 20, 20, 20, 20, 20, 19, 20, 20, 20, 20]


@pytest.mark.parametrize(("row", "tokens"), list(zip(ASR_TABLE, TEXT_TOKENS, strict=True)))
def test_every_row_of_speech_recognition_to_the_printed_digit(row, tokens):
    model, audio_tokens, stride, printed = row
    flops = published_whisper_flops(
        whisper_dimensions(model), audio_tokens=audio_tokens, text_tokens=tokens, token_stride=stride
    )
    assert f"{float(flops.total) / 1e9:.1f}" == printed
    assert reproducing_text_tokens(*row) == tokens


@pytest.mark.parametrize("row", [row for row, tokens in zip(ASR_TABLE, TEXT_TOKENS, strict=True) if tokens == 19])
def test_the_rows_with_19_tokens_do_not_come_from_20(row):
    model, audio_tokens, stride, printed = row
    flops = published_whisper_flops(
        whisper_dimensions(model), audio_tokens=audio_tokens, text_tokens=20, token_stride=stride
    )
    assert not prints_as(flops.total, printed)


def test_no_token_count_gives_a_wrong_digit():
    assert reproducing_text_tokens("tiny", 1500, 1, "63.9") is None


@pytest.mark.parametrize("row", SER_TABLE)
@pytest.mark.parametrize("classes", [2, 4, 7])
def test_every_row_of_emotion_recognition_to_the_printed_digit(row, classes):
    # Encoder, projection to 256 and classifier, as transformers builds a sequence classifier; adapters left out.
    model, duration_s, _, printed = row
    dims = speech_encoder_dimensions(model)
    head = dims.hidden_size * 256 + 256 + 256 * classes + classes
    flops = published_ser_flops(model_parameters(dims) + head, float(duration_s))
    assert f"{float(flops) / 1e9:.1f}" == printed


def test_reproduction_holds_every_row_beside_what_is_executed():
    result = reproduce()
    assert [row.text_tokens for row in result.asr] == TEXT_TOKENS
    assert all(prints_as(row.formula_flops, row.printed_gflops) for row in (*result.asr, *result.ser))
    small = next(row for row in result.asr if (row.model, row.audio_tokens, row.token_stride) == ("small", 1500, 1))
    assert small.executed_flops == 394_063_288_320
    assert small.ratio == pytest.approx(394.063 / 722.365, rel=1e-5)
    # Clipped audio is padded back, so the 750 rows execute what the 1500 rows do for as many text tokens.
    assert {row.executed_flops for row in result.asr if row.model == "large-v3"} == {2_630_462_689_280}
    base = next(row for row in result.ser if row.model == "wav2vec2-base")
    assert base.stem_share == pytest.approx(0.345, abs=5e-4)


def test_statements_that_the_tables_contradict():
    saving, stride, clipped = reproduce().claims
    assert saving.stated == 4.3
    assert saving.tables == pytest.approx(126.3 / 37.8)
    assert saving.executed == pytest.approx(2.587, abs=5e-4)
    assert stride.tables == pytest.approx(1 - 510.0 / 722.4)
    assert stride.executed == pytest.approx(0.0555, abs=5e-5)
    assert clipped.tables == pytest.approx(1 - 351.5 / 722.4)
    assert clipped.executed == 0
