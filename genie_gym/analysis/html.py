"""Parts of the HTML reports: single files that contain their style, tables, images and plots."""

import base64
import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from genie_gym.utils.images import to_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["document", "embed", "labelled", "picture", "plot", "render", "table"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .2em .7em; border-bottom: 1px solid #ddd; }
td { text-align: right; font-variant-numeric: tabular-nums; } td:first-child, th { text-align: left; }
img { max-width: 100%; image-rendering: pixelated; } pre { background: #f4f4f4; padding: .7em; white-space: pre-wrap; }
table.pictures td, table.pictures th { border: 0; padding: .15em .7em .15em 0; font-weight: normal; }
table.pictures td { text-align: left; }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>{{ style }}</style></head><body>
<h1>{{ title }}</h1>
{{ body }}
</body></html>
"""
TABLE = (
    "<table><tr>{% for name in head %}<th>{{ name }}</th>{% endfor %}</tr>"
    "{% for row in rows %}<tr>{% for value in row %}<td>{{ cell(value) }}</td>{% endfor %}</tr>{% endfor %}</table>"
)
LABELLED = (
    '<table class="pictures">{% for label, image in rows %}<tr><th>{{ label }}</th><td>{{ image }}</td></tr>'
    "{% endfor %}</table>"
)
IMAGE = '<img alt="{{ title }}" src="data:image/{{ kind }};base64,{{ content }}">'


def document(title: str, body: str) -> str:
    """Return a whole page.

    Args:
        title: Title and headline, plain text.
        body: HTML.
    """
    return render(PAGE, title=title, body=Markup(body), style=Markup(STYLE)) + "\n"


def render(template: str, **values: Any) -> Markup:
    """Fill in a Jinja template, in which `table` and `labelled` can be called; plain text is escaped."""
    return Markup(_environment.from_string(template).render(values))


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> Markup:
    """Return a table of plain values; "-" for None and NaN.

    >>> print(table(["", "dB"], [["nearest <code>", 31.2345]]))
    <table><tr><th></th><th>dB</th></tr><tr><td>nearest &lt;code&gt;</td><td>31.23</td></tr></table>
    """
    return render(TABLE, head=head, rows=rows, cell=_cell)


def labelled(rows: Iterable[tuple[str, Markup]]) -> Markup:
    """Return images below each other, each with a plain label to its left."""
    return render(LABELLED, rows=rows)


def embed(content: bytes, kind: str, title: str) -> Markup:
    """Return an image element that contains an image file.

    Args:
        content: Content of the file.
        kind: "png" or "gif".
        title: Alternative text.
    """
    return render(IMAGE, title=title, kind=kind, content=base64.b64encode(content).decode())


def picture(frame: np.ndarray, title: str) -> Markup:
    """Return an image element that shows a frame uint8 (h, w, 3) without losses."""
    return embed(to_png(frame), "png", title)


def plot(figure: "Figure", title: str) -> Markup:
    """Return an image element that shows a matplotlib figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return embed(buffer.getvalue(), "png", title)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if type(value) is int else str(value)


_environment = Environment(autoescape=True, undefined=StrictUndefined)
_environment.globals.update(table=table, labelled=labelled)
