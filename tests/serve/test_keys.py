from hashlib import sha256

import pytest

from allophone.errors import UsageError
from allophone.serve.keys import ApiKeys, add_key, read_keys


def test_a_new_key_is_known_and_only_its_digest_is_kept(tmp_path):
    path = tmp_path / "keys"
    first, second = add_key(path), add_key(path)
    assert first != second
    assert path.read_text() == "".join(f"sha256:{sha256(key.encode()).hexdigest()}\n" for key in (first, second))
    known = read_keys(path)
    assert known.knows(f"Bearer {first}")
    assert known.knows(f"bearer  {second} ")
    assert not known.knows(f"Bearer {first}{second}")


def test_comments_and_empty_lines_are_no_keys(tmp_path):
    path = tmp_path / "keys"
    key = add_key(path)
    path.write_text(f"# of the team\n\n{path.read_text().strip()}  # anna\n")
    assert read_keys(path).knows(f"Bearer {key}")


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no key"), ("# nothing\n", "no key"), ("allo-secret\n", "line 1"), ("sha256:12\n", "line 1")],
)
def test_a_file_of_keys_that_is_none_is_refused(tmp_path, content, said):
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        read_keys(path)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic x", "x"])
def test_headers_that_show_no_key(header):
    assert not ApiKeys(["0" * 64]).knows(header)
