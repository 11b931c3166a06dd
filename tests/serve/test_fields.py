import pytest

from allophone.serve.api_error import ApiError
from allophone.serve.fields import AskedFor, read_fields

MODEL = ("model", "m")


def test_a_model_is_enough():
    assert read_fields([MODEL]) == AskedFor("m")


@pytest.mark.parametrize(
    "sent",
    [
        [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")],
        [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")],
        [("timestamp_granularities", '["word", "segment"]')],
        [("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")],
    ],
)
def test_a_list_in_every_spelling(sent):
    asked = read_fields([MODEL, ("response_format", "verbose_json"), *sent])
    assert asked.granularities == {"word", "segment"}
    assert asked.words


@pytest.mark.parametrize(
    ("sent", "words"), [("json", False), ("text", False), ("srt", True), ("vtt", True), ("verbose_json", False)]
)
def test_words_are_placed_only_where_they_are_shown(sent, words):
    fields = [MODEL, ("response_format", sent)]
    assert read_fields(fields).words == words
    assert not read_fields(fields, "translate").words


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ([], "model"),
        ([MODEL, MODEL], "model"),
        ([MODEL, ("stream[]", "true")], "stream[]"),
        ([MODEL, ("keywords[]", "x")], "keywords"),
        ([MODEL, ("chunking_strategy", '{"type": "server_vad"}')], "chunking_strategy"),
        ([MODEL, ("temperature", "nan")], "temperature"),
        ([MODEL, ("timestamp_granularities[]", "[" * 5000)], "timestamp_granularities"),
        ([MODEL, ("file", "text")], "file"),
    ],
)
def test_what_is_refused_is_named(sent, param):
    with pytest.raises(ApiError) as caught:
        read_fields(sent)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_translation_has_no_language_and_no_stream():
    for field in ("language", "stream"):
        with pytest.raises(ApiError) as caught:
            read_fields([MODEL, (field, "en")], "translate")
        assert caught.value.code == "unknown_parameter"
