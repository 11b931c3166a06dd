"""Certificates: whose speakers, what passes, what is written down, and whether it held on new data."""

import numpy as np
import pytest

from allophone.errors import LedgerError, SpaceError, UsageError
from allophone.guarantee.certify import (
    Candidate,
    Heard,
    certify,
    check_certificate,
    is_bounded,
    read_limits,
    say_needed,
    show_certificate,
)
from allophone.records.point import OperatingPoint

BASE = OperatingPoint(model="tiny.en")
GUARDED = OperatingPoint(model="tiny.en", context="fit", margin_s=1.0, guard=True)
EACH = 3


def heard(n_speakers, *, names=True, duration_s=3.0, fingerprint="a" * 64, first=0):
    n = n_speakers * EACH
    speakers = [f"s{first + place // EACH}" if names else None for place in range(n)]
    return Heard.of(
        speakers,
        np.full(n, 10.0),
        np.full(n, duration_s),
        normalizer="none",
        relative_to=None,
        fingerprints=[fingerprint],
    )


def candidate(n_speakers, errors, *, name="A", share=1.0, point=BASE):
    return Candidate(name, (point,), np.full(n_speakers * EACH, float(errors)), share)


def test_a_certificate_says_what_was_tested_how_and_on_whom():
    limits = read_limits(["wer_clipped<=30", "error_share<=99"])
    found = certify([candidate(40, 1)], heard(40), limits, 0.95, "in the order given")
    assert list(found) == ["A"] or found == {}
    clipped = certify([candidate(40, 1)], heard(40), limits[:1], 0.95, "in the order given")["A"][0]
    assert (clipped.rate, clipped.limit, clipped.confidence) == ("wer_clipped", 0.3, 0.95)
    assert (clipped.n_speakers, clipped.n_utterances, clipped.n_tested, clipped.n_clipped) == (40, 120, 1, 0)
    assert clipped.measured == pytest.approx(0.1)
    assert clipped.greatest_loss == pytest.approx(7)  # of ten words, three are allowed
    # bets of 1, 1/2, ... on a gain of 2 of 7, forty times
    bets = ((1, 0.5), (0.5, 0.25), (0.25, 0.125), (0.125, 0.0625), (0.0625, 0.0625))
    assert clipped.e_value == pytest.approx(sum(share * (1 + bet * 2 / 7) ** 40 for bet, share in bets))
    assert clipped.fingerprints == ["a" * 64]
    assert len(clipped.speakers) == 40
    told = " ".join(show_certificate(clipped))
    assert "clipped word error rate at most 30 % (10.00 % measured on 120 utterances of 40 speakers)" in told
    assert "Speakers are independent" in told
    assert "in the order given" in told


def test_every_limit_must_be_kept():
    good, bad = read_limits(["wer_clipped<=30"]), read_limits(["wer_clipped<=30", "error_share<=50"])
    assert certify([candidate(40, 1)], heard(40), good, 0.95, "")
    assert not certify([candidate(40, 1)], heard(40), bad, 0.95, "")  # every utterance has an error


def test_a_sequence_ends_at_what_was_not_measured_and_another_goes_on():
    limits = read_limits(["wer_clipped<=40"])
    gone = Candidate("gone", (BASE,), None, 0.0)
    order = [candidate(60, 1, name="A", share=0.5), gone, candidate(60, 1, name="B", share=0.0)]
    assert list(certify(order, heard(60), limits, 0.95, "")) == ["A"]
    assert list(certify([*order, candidate(60, 1, name="C", share=0.5)], heard(60), limits, 0.95, "")) == ["A", "C"]


def test_too_few_speakers_are_told_how_many_it_would_take():
    limits = read_limits(["wer<=30"])
    assert not certify([candidate(12, 1)], heard(12), limits, 0.95, "")
    told = say_needed([candidate(12, 1)], heard(12), limits, 0.95)
    # a gain of 2 on 44 - 3 words: log(40) / log(1 + 2 / 41); clipped at 10 words, on 7
    assert "12 speakers were heard; at the losses measured, A would take about 78" in told
    assert told.endswith("take fewer: wer_capped<=30 about 78; wer_clipped<=30 about 15.")
    assert certify([candidate(78, 1)], heard(78), limits, 0.95, "")
    assert not certify([candidate(70, 1)], heard(70), limits, 0.95, "")


def test_no_number_is_named_where_none_would_do():
    told = say_needed([candidate(12, 5)], heard(12), read_limits(["wer<=30"]), 0.95)
    assert told == "What is tested first, A, does not keep the limit by enough as measured. Ask for a higher limit."


def test_a_guard_that_may_cut_windows_has_no_bound():
    limits = read_limits(["wer<=30"])
    assert is_bounded(GUARDED, heard(4), limits)
    assert not is_bounded(GUARDED, heard(4, duration_s=25.0), limits)
    assert is_bounded(GUARDED, heard(4, duration_s=25.0), read_limits(["wer_capped<=30"]))


def test_errors_that_cannot_be_are_reported():
    with pytest.raises(LedgerError, match="A: an utterance has more errors than its transcript can have words"):
        certify([candidate(4, 45)], heard(4), read_limits(["wer<=30"]), 0.95, "")
    capped = certify([candidate(4, 45)], heard(4), read_limits(["wer_capped<=30"]), 0.95, "")
    assert capped == {}


def test_utterances_stand_alone_only_where_no_speaker_is_named():
    alone = heard(40, names=False)
    assert alone.n_speakers == 120
    found = certify([candidate(40, 1)], alone, read_limits(["wer_clipped<=30"]), 0.95, "")["A"][0]
    assert "each utterance counts as a speaker of its own" in found.assumption
    assert found.speakers == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relative_to": "base"}, "relative to base, not against human references"),
        ({"speakers": ["a", None, "b"]}, "1 of 3 utterances name no speaker"),
        ({"speakers": ["a", "a", "a"]}, "All utterances are of one speaker, a"),
        ({"words": np.zeros(3)}, "No reference has a word"),
    ],
)
def test_what_cannot_be_evidence_is_refused(changes, message):
    given = {"speakers": ["a", "b", "c"], "words": np.ones(3), "relative_to": None, **changes}
    with pytest.raises(UsageError, match=message):
        Heard.of(
            given["speakers"],
            given["words"],
            np.ones(3),
            normalizer="none",
            relative_to=given["relative_to"],
            fingerprints=[""],
        )


def test_a_rate_has_one_limit():
    assert [limit.rate.name for limit in read_limits(["wer<=12", "error_share<=40"])] == ["wer", "error_share"]
    with pytest.raises(SpaceError, match="names wer 2 times"):
        read_limits(["wer<=12", "wer<=10"])


@pytest.fixture
def certificate():
    return certify([candidate(40, 1)], heard(40), read_limits(["wer_clipped<=30"]), 0.95, "")["A"][0]


def test_new_data_tell_whether_it_held(certificate):
    rng = np.random.default_rng(0)

    def told(rate, n=40, **changes):
        errors = rng.binomial(10, rate, n * EACH).astype(float)
        return " ".join(check_certificate(certificate, [BASE], errors, heard(n, **changes)))

    new = {"fingerprint": "b" * 64, "first": 1000}
    assert "Certificate wer_clipped<=30, confidence 0.95: held on 120 utterances of 40 speakers, 1" in told(0.1, **new)
    assert "did not hold on 120" in told(0.6, **new)
    assert "held as measured, not surely" in told(0.29, 6, **new) or "not surely" in told(0.31, 6, **new)
    assert "heard when it was made" not in told(0.1, **new)
    assert "40 of these speakers were heard when it was made" in told(0.1, fingerprint="b" * 64)
    assert "which cannot test it" in told(0.1)
