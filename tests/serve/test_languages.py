import pytest

from allophone.serve.languages import language_code, language_name


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        *(("en", "en"), ("EN", "en"), (" English ", "en"), ("en-US", "en"), ("pt_BR", "pt"), ("zh-Hant-TW", "zh")),
        *(("yue", "yue"), ("castilian", "es"), ("Haitian Creole", "ht"), ("iw", "he"), ("nb-NO", "no"), ("jv", "jw")),
        *(("klingon", None), ("", None), ("-", None), ("e", None), ("xx-en", None)),
    ],
)
def test_spellings(spelling, code):
    assert language_code(spelling) == code


def test_every_name_leads_back_to_its_code():
    from faster_whisper.tokenizer import _LANGUAGE_CODES as CODES

    assert [language_code(language_name(code)) for code in CODES] == list(CODES)
    assert all(language_name(code) != code for code in CODES)


def test_a_code_without_a_name_stays():
    assert language_name("tlh") == "tlh"
