"""Parts of pages are renewed in place, and the site's first page is README with links that hold within the site."""

import pytest
from write_docs import home_page, with_part

BEGIN, END = "<!-- begin table: written by scripts/write_docs.py -->", "<!-- end table -->"


def test_a_part_is_renewed_and_the_rest_stays():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_part(page, "table", "new")
    assert once == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert with_part(once, "table", "new") == once


@pytest.mark.parametrize("page", ["nothing", BEGIN, END, f"{END} {BEGIN}"])
def test_a_page_without_the_part_is_refused(page):
    with pytest.raises(ValueError, match="a page lacks"):
        with_part(page, "table", "new")


def test_links_of_the_first_page_hold_within_the_site():
    readme = "# allophone\n\n[a](docs/guide/a.md#part) [c](CONTRIBUTING.md) [web](https://x.org)\n"
    assert "[a](guide/a.md#part) c [web](https://x.org)" in home_page(readme)


def test_the_picture_follows_the_sites_colour_scheme():
    readme = '# allophone\n\n<picture>\n  <source srcset="b.svg">\n  <img alt="A frontier" src="a.svg">\n</picture>\n'
    page = home_page(readme)
    assert "![A frontier](images/frontier-light.svg#only-light)" in page
    assert "![A frontier](images/frontier-dark.svg#only-dark)" in page
    assert "<picture>" not in page
