"""A table on disk: JSON with everything, Markdown with the paper's figures beside ours, and a plot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from arms import made_with
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from paper_tables.scores import METRICS
from paper_tables.table import Claim, Found, Row, Rows, Table

__all__ = ["collect_seed", "read", "write"]

Values = list[float | None]


def read(path: Path, alike: dict[str, Any]) -> dict[str, Any]:
    """The JSON that `write` left, where those of its facts that are in `alike` are the same; otherwise nothing."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    alike = json.loads(json.dumps(alike))  # tuples become lists, as they are in the file
    return kept if all(kept.get(name) == value for name, value in alike.items()) else {}


def collect_seed(found: Found, measured: dict[str, Rows], before: int) -> None:
    """Adds the figures of one more seed to those of `before` others, which may lack some of them."""
    for subject, rows in measured.items():
        for row, figures in rows.items():
            kept = found.setdefault(subject, {}).setdefault(row, {})
            for metric, value in figures.items():
                kept.setdefault(metric, [None] * before).append(value)


def write(table: Table, found: Found, facts: dict[str, Any], out: Path, name: str) -> Path:
    """Writes `<name>.json`, `.md` and `.png` into a folder.

    Args:
        found: a value for each seed.
        facts: what it was made with: "scale", "sizes", "seeds", "hours", "made" and the like, plain values.

    Returns:
        the Markdown's path.
    """
    out.mkdir(parents=True, exist_ok=True)
    claims = {}
    for subject, rows in found.items():
        held = [one for one in table.claims if {one.above, one.below} <= rows.keys()]
        claims[subject] = [_claim(one, rows, table.paper_for(subject)[1]) for one in held]
    kept = {"table": table.number, "title": table.title, **facts, "found": found}
    kept |= {"paper": table.paper, "claims": claims}
    (out / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    _plot(table, found, out / f"{name}.png")
    text = [f"# Table {table.number}: {table.title}", table.about, _explanation(facts)]
    for subject, rows in found.items():
        game, paper = table.paper_for(subject)
        text += [f"## {subject}", f"In brackets the paper's, of {game}.", markdown(rows, paper)]
        text += ["\n".join(_sentence(one) for one in claims[subject])]
    text += [f"![PSNR and delta-PSNR]({name}.png)", _made(facts)]
    (out / f"{name}.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    return out / f"{name}.md"


def markdown(rows: dict[str, dict[str, Values]], paper: Rows) -> str:
    """A line for each row: mean and standard deviation over seeds, and the paper's figure in brackets."""
    everything = [*rows.values(), *(paper[row] for row in rows if row in paper)]
    shown = [metric for metric in METRICS if any(figures.get(metric) is not None for figures in everything)]
    lines = ["| | " + " | ".join(METRICS[metric] for metric in shown) + " |", "|---|" + "---:|" * len(shown)]
    for row, figures in rows.items():
        published = paper.get(row, {})
        cells = [f"{_spread(figures.get(metric, []))} {_bracket(published.get(metric))}".strip() for metric in shown]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _explanation(facts: dict[str, Any]) -> str:
    return (
        f"Each clip begins with 2 real frames; PSNR and SSIM are means over the {facts['sizes']['horizon']} frames "
        "predicted, in a single pass where a row does not say autoregressive. A tokenizer's row scores all frames, "
        "encoded and decoded, a LAM's each next frame as drawn from the real one before it and a code. "
        "delta-PSNR is what frame t = 4 loses under random actions. The Frechet distance is one of thumbnails (means "
        "of 8x8 places), and cannot be compared with the paper's FID."
    )


def _known(values: Values) -> np.ndarray:
    return np.array([value for value in values if value is not None], float)


def _spread(values: Values) -> str:
    known = _known(values)
    if not len(known):
        return ""
    digits = 3 if abs(known.mean()) < 1 else 2
    return f"{known.mean():.{digits}f}" + (f" ± {known.std(ddof=1):.{digits}f}" if len(known) > 1 else "")


def _bracket(value: float | None) -> str:
    return "" if value is None else f"({value:g})"


def _claim(claim: Claim, rows: dict[str, dict[str, Values]], paper: Rows) -> dict[str, Any]:
    """How far one row lies above the other, seed by seed; and in the paper, where it has both."""
    pairs = zip(rows[claim.above][claim.metric], rows[claim.below][claim.metric], strict=True)
    gains = [a - b for a, b in pairs if a is not None and b is not None]
    return {
        "metric": claim.metric,
        "above": claim.above,
        "below": claim.below,
        "gains": gains,
        "mean": float(np.mean(gains)) if gains else None,
        "deviation": float(np.std(gains, ddof=1)) if len(gains) > 1 else None,
        "seeds_above": sum(gain > 0 for gain in gains),
        "paper": _published(claim, paper),
    }


def _published(claim: Claim, paper: Rows) -> float | None:
    a, b = (paper.get(row, {}).get(claim.metric) for row in (claim.above, claim.below))
    return None if a is None or b is None else round(a - b, 4)


def _sentence(claim: dict[str, Any]) -> str:
    gains = claim["gains"]
    paper = "" if claim["paper"] is None else f"paper {claim['paper']:+g}"
    verdict = {len(gains): "holds", 0: "does not hold"}.get(claim["seeds_above"], "unclear")
    if len(gains) == 1:  # with nothing to tell it from chance
        verdict += " in the only seed"
    counted = f"{claim['seeds_above']} of {len(gains)} seeds" if len(gains) > 1 else ""
    aside = "; ".join(filter(None, (counted, paper)))
    what = f"- {METRICS[claim['metric']]}, {claim['above']} above {claim['below']}"
    return f"{what}: {verdict}, by {_spread(gains)}" + (f" ({aside})" if aside else "")


def _made(facts: dict[str, Any]) -> str:
    seeds = ", ".join(map(str, facts["seeds"]))
    return f"Made with {made_with(facts)}; scale `{facts['scale']}`, seeds {seeds}. It goes on where it was stopped."


def _plot(table: Table, found: Found, path: Path) -> None:
    """Bars for ours, with the deviation over seeds, and crosses for the paper's."""
    metrics = ("psnr", "delta_psnr")
    height = 0.8 + 0.32 * sum(len(rows) for rows in found.values())
    figure = Figure(figsize=(11, height + 0.5 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), len(metrics), squeeze=False)
    for (subject, rows), line in zip(found.items(), panels, strict=True):
        paper = table.paper_for(subject)[1]
        for axes, metric in zip(line, metrics, strict=True):
            _bars(axes, rows, paper, metric)
            axes.set(title=subject if metric == "psnr" else "", xlabel=METRICS[metric])
        line[1].set_yticklabels([])
    figure.legend(*panels[0, 0].get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside upper right")
    figure.savefig(path, dpi=110)


def _bars(axes: Any, rows: dict[str, dict[str, Values]], paper: dict[str, Row], metric: str) -> None:
    known = [_known(figures.get(metric, [])) for figures in rows.values()]
    means = [values.mean() if len(values) else np.nan for values in known]
    errors = [values.std(ddof=1) if len(values) > 1 else 0 for values in known]
    places = np.arange(len(rows))
    axes.barh(places, means, xerr=errors, color="tab:blue", label="ours")
    theirs = [paper.get(row, {}).get(metric) for row in rows]
    crosses = [np.nan if value is None else value for value in theirs]
    axes.plot(crosses, places, "x", color="tab:orange", label="the paper's")
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
