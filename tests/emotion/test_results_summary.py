import pytest

from allophone.emotion.results import EmotionRow, summarise_rows
from allophone.errors import UsageError


def row(number, speaker, label, posterior, error=None):
    correct = bool(posterior) and label == "ab"[posterior.index(max(posterior))]
    return EmotionRow(f"u{number}", speaker, label, posterior, correct, None, error)


def test_every_rate_by_hand():
    rows = [row(n, f"s{n % 3}", "a", (0.8, 0.2, 0.0)) for n in range(6)]
    rows += [row(n, f"s{n % 3}", "b", (0.8, 0.2, 0.0) if n < 8 else (0.1, 0.9, 0.0)) for n in range(6, 10)]
    rows += [row(10, "s9", "b", (), "silent")]
    found = summarise_rows(rows, ("a", "b", "c"))
    assert (found.n_utterances, found.n_speakers, found.failures) == (10, 3, 1)
    assert found.recalls == (1.0, 0.5, None)
    assert found.confusion == ((6, 0, 0), (2, 2, 0), (0, 0, 0))
    assert (found.uar, found.wa) == (0.75, 0.8)
    assert found.macro_f1 == pytest.approx((12 / 14 + 4 / 6) / 2)
    assert found.uar_low <= 0.75 <= found.uar_high
    # At 0.8: eight rows, six right, 0.05 off; at 0.9: two rows, both right, 0.1 off.
    assert found.calibration_error == pytest.approx((8 * 0.05 + 2 * 0.1) / 10)
    assert "Only 3 speakers" in found.warning


def test_nothing_usable():
    with pytest.raises(UsageError, match="no test utterance could be used"):
        summarise_rows([row(0, "s", "a", (), "silent")], ("a", "b"))
