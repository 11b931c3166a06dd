import xml.etree.ElementTree as ET

import numpy as np
import pytest

from allophone.export.picture import draw_picture
from allophone.report.figures import FrontierFigure, PlottedPoint

pytest.importorskip("matplotlib")


def figure(name="tiny.en", *, log_x=True, points=3):
    plotted = tuple(
        PlottedPoint(f"{name}{k}", name, 10.0**k, 5.0 + k, (0.5 * 10**k, 2.0 * 10**k), (4.0, 9.0), "tied", k < 2, "")
        for k in range(points)
    )
    return FrontierFigure("cost (s)", "WER (%)", plotted, f"{name}0", log_x, (1.0, 10.0, 100.0), 12.0)


def test_a_png_is_no_blank_page(tmp_path):
    import matplotlib.image

    draw_picture(figure(), tmp_path / "x", "png")
    pixels = matplotlib.image.imread(tmp_path / "x", format="png")
    assert pixels.shape[:2] == (1000, 1600)
    assert 0.001 < np.mean(pixels[:, :, :3].min(axis=2) < 0.9) < 0.5


@pytest.mark.parametrize("log_x", [True, False])
def test_an_svg_holds_the_texts_and_is_the_same_every_time(tmp_path, log_x):
    for name in ("one", "two"):
        draw_picture(figure("<b>$x$ & y", log_x=log_x), tmp_path / name, "svg")
    first, second = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second
    texts = "".join(element.text or "" for element in ET.fromstring(first).iter())
    assert "<b>$x$ & y" in texts
    assert "WER (%)" in texts


def test_no_point_is_an_empty_plot(tmp_path):
    draw_picture(figure(points=0), tmp_path / "x", "svg")
    assert (tmp_path / "x").stat().st_size > 1000
