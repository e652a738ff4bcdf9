"""Pages hold what they are given: words escaped, pictures without losses."""

import base64
import re
from html.parser import HTMLParser

import imageio.v3 as imageio
import numpy as np
from matplotlib.figure import Figure

from genie_gym.analysis.html import document, labelled, picture, plot, table


class Reader(HTMLParser):
    """Collects the cells of a page's tables, and complains of elements that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += text


def test_a_page_is_whole_and_its_words_are_words():
    rows = [["<b>&", 1234567, 0.123456, 12345.6], [None, np.float64(2.5), "x", True]]
    html = document("Inside <Toy>", table(["a<b", 2, "c", "d"], rows))
    reader = Reader()
    reader.feed(html)
    assert reader.open == [] and html.startswith("<!doctype html>")
    assert reader.cells == ["a<b", "2", "c", "d", "<b>&", "1,234,567", "0.1235", "12,346", "-", "2.5", "x", "True"]
    assert html.count("Inside &lt;Toy&gt;") == 2 and "<Toy>" not in html


def test_pictures_are_in_the_page_without_losses():
    frame = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    html = labelled([("left & right", picture(frame, "a <strip>"))])
    assert "left &amp; right" in html and 'alt="a &lt;strip&gt;"' in html
    (content,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    np.testing.assert_array_equal(imageio.imread(base64.b64decode(content)), frame)


def test_a_plot_is_a_picture():
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    (content,) = re.findall(r'base64,([^"]+)"', plot(figure, "curve"))
    assert imageio.imread(base64.b64decode(content)).shape[:2] == (110, 220)
