from allophone.corpora.passed_over import PassedOver


def test_reasons_are_counted_and_the_first_files_named(tmp_path):
    passed_over = PassedOver(tmp_path)
    assert passed_over.sentences() == ()
    for number in range(7):
        passed_over.add("notes", tmp_path / "sub" / f"{number}.md")
    passed_over.add("lines", tmp_path / "metadata.csv", 3)
    assert passed_over.sentences() == (
        "7 notes passed over: sub/0.md, sub/1.md, sub/2.md, sub/3.md, sub/4.md, ....",
        "1 lines passed over: metadata.csv:3.",
    )


def test_names_that_are_not_utf_8_can_be_told(tmp_path):
    passed_over = PassedOver(tmp_path)
    passed_over.add("notes", tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert passed_over.sentences() == ("1 notes passed over: caf\\xe9.",)
