"""What the HTML reports are made of: one file each, with its style, tables, pictures and plots inside."""

import base64
import io
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_gym.frames import to_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["document", "embed", "labelled", "picture", "plot", "table"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .2em .7em; border-bottom: 1px solid #ddd; }
td { text-align: right; font-variant-numeric: tabular-nums; } td:first-child, th { text-align: left; }
img { max-width: 100%; image-rendering: pixelated; } pre { background: #f4f4f4; padding: .7em; white-space: pre-wrap; }
table.pictures td, table.pictures th { border: 0; padding: .15em .7em .15em 0; font-weight: normal; }
table.pictures td { text-align: left; }
"""


def document(title: str, body: str) -> str:
    """A whole page: its title, plain text, which is also its headline, above a body of HTML."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    content = f"<h1>{escape(title)}</h1>\n{body}"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{content}\n</body></html>\n'


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """Plain values under plain titles; "-" for None.

    >>> table(["", "dB"], [["nearest <code>", 31.2345]])
    '<table><tr><th></th><th>dB</th></tr><tr><td>nearest &lt;code&gt;</td><td>31.23</td></tr></table>'
    """
    titles = "".join(f"<th>{escape(str(name))}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"


def labelled(rows: Iterable[tuple[str, str]]) -> str:
    """Pictures under each other, each an HTML element with plain words to its left."""
    body = "".join(f"<tr><th>{escape(words)}</th><td>{image}</td></tr>" for words, image in rows)
    return f'<table class="pictures">{body}</table>'


def embed(content: bytes, kind: str, title: str) -> str:
    """The content of a picture's file, `kind` png or gif, as an element of the page itself."""
    return f'<img alt="{escape(title)}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'


def picture(frame: np.ndarray, title: str) -> str:
    """A picture uint8 (h, w, 3) as an element of the page, without losses."""
    return embed(to_png(frame), "png", title)


def plot(figure: "Figure", title: str) -> str:
    """A matplotlib figure as an element of the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return embed(buffer.getvalue(), "png", title)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "-" if value is None else escape(f"{value:,}" if type(value) is int else str(value))
