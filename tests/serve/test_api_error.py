import pytest

from allophone.serve.api_error import bad_request, draining, inference_failed, no_room, too_large


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (bad_request("file", "m"), 400),
        (too_large("m", "c"), 413),
        (no_room("m", 3.0), 429),
        (inference_failed("m"), 500),
        (draining(), 503),
    ],
)
def test_every_error_has_the_four_keys(error, status):
    assert error.status == status
    assert set(error.body()["error"]) == {"message", "type", "param", "code"}
    assert error.body()["error"]["code"]


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (0.2, "1"), (3.2, "4"), (119.9, "120"), (5000.0, "120")])
def test_a_client_is_never_told_to_wait_longer_than_it_would(seconds, told):
    assert no_room("m", seconds).headers["Retry-After"] == told


def test_what_fails_again_is_not_to_be_sent_again():
    assert too_large("m", "c").headers["x-should-retry"] == inference_failed("m").headers["x-should-retry"] == "false"
    assert "x-should-retry" not in no_room("m", 1.0).headers
