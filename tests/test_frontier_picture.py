"""The picture shows every measured setting where its figures are, and joins those that none dominates."""

import re
import xml.etree.ElementTree as ET
from itertools import product
from pathlib import Path

import pytest
from frontier_picture import Plotted, frontier_caption, frontier_svg, nondominated, plotted_points

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def test_what_no_other_point_beats_is_kept_cheapest_first():
    values = [Plotted("base", "full", gflops, wer) for gflops, wer in product((10.0, 20.0, 30.0), (4.0, 5.0, 6.0))]
    assert nondominated(values) == [values[0]]
    dear = Plotted("base", "full", 40.0, 3.0)
    assert nondominated([dear, *values]) == [values[0], dear]


def test_equal_points_do_not_beat_each_other():
    twice = [Plotted("base", "full", 10.0, 4.0)] * 2
    assert nondominated(twice) == twice


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_whole_and_everything_lies_within_it(scheme):
    points = plotted_points(RESULTS)
    svg = frontier_svg(points, scheme)
    root = ET.fromstring(svg)
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for x, y in re.findall(r'x="([\d.]+)" y="([\d.]+)"', svg):
        assert 0 <= float(x) <= width
        assert 0 <= float(y) <= height
    legend_rows = 2
    circles = sum(point.kind in {"full", "shipped"} for point in points)
    assert svg.count("<circle") == circles + legend_rows
    texts = {element.text for element in root.iter() if element.text}
    assert {"Whisper tiny.en", "Whisper base", "frontier", "word error rate, %"} <= texts


def test_more_compute_lies_further_right_and_fewer_errors_lower():
    points = [Plotted("base", "shipped", 20.0, 8.0), Plotted("base", "shipped", 40.0, 6.0)]
    marks = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="9" fill="#bc4c00"', frontier_svg(points, "light"))
    (left, high), (right, low) = ((float(x), float(y)) for x, y in marks)
    assert left < right
    assert high < low


def test_the_caption_states_the_corpus_and_the_interval():
    caption = frontier_caption(RESULTS)
    assert "utterances of librispeech-train-clean-5" in caption
    assert re.search(r"take \d+ to \d+ % of the compute.* at most \d+\.\d higher \(95 % intervals", caption)
