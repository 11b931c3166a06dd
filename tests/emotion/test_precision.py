import pytest

from emotion_builders import tiny_encoder

pytest.importorskip("torch")

from allophone.emotion import precision as emotion_precision


@pytest.mark.parametrize(
    ("full_s", "half_s", "faster"), [(2.0, 1.0, "bfloat16"), (1.1, 1.0, "float32"), (1.0, 3.0, "float32")]
)
def test_bfloat16_must_be_worth_it(monkeypatch, full_s, half_s, faster):
    monkeypatch.setattr(emotion_precision, "_median_s", lambda *works: [full_s, half_s])
    assert emotion_precision.faster_precision(tiny_encoder("whisper")) == faster


def test_a_real_layer_is_timed_in_both():
    assert emotion_precision.faster_precision(tiny_encoder("whisper")) in ("float32", "bfloat16")
