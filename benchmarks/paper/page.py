"""A table on disk: JSON with everything, Markdown with the paper's figures beside ours, and a plot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

from benchmarks.common.machine import made_with
from benchmarks.common.results import Figures, markdown_table, mean_and_deviation, read_values
from benchmarks.paper.scores import METRICS
from benchmarks.paper.table import Claim, Results, Row, Rows, Table

__all__ = ["add_seed", "markdown", "read", "write"]

Values = list[float | None]


def read(path: Path, asked: Figures) -> Figures:
    """Return the JSON that `write` left if its facts are those asked for; otherwise nothing."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    asked = json.loads(json.dumps(asked))  # tuples become lists, as they are in the file
    return kept if all(kept.get(name) == value for name, value in asked.items()) else {}


def add_seed(results: Results, measured: dict[str, Rows], before: int) -> None:
    """Add the figures of one more seed to those of `before` others, which may lack some of them."""
    for game, rows in measured.items():
        for row, figures in rows.items():
            kept = results.setdefault(game, {}).setdefault(row, {})
            for metric, value in figures.items():
                kept.setdefault(metric, [None] * before).append(value)


def write(table: Table, results: Results, facts: Figures, out: Path, name: str) -> Path:
    """Write `<name>.json`, `.md` and `.png` into a folder.

    Args:
        table: The table of the paper.
        results: Our figures, one value per seed.
        facts: How it was made: "scale", "sizes", "seeds", "hours", "machine" and the like, plain values.
        out: The folder.
        name: Name of the files.

    Returns:
        Path of the Markdown file.
    """
    out.mkdir(parents=True, exist_ok=True)
    claims = {game: checked_claims(table, game, rows) for game, rows in results.items()}
    kept = {"table": table.number, "title": table.title, **facts, "results": results}
    kept |= {"paper": table.paper, "claims": claims}
    (out / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    _plot(table, results, out / f"{name}.png")
    path = out / f"{name}.md"
    path.write_text("\n\n".join(_page(table, results, claims, facts, name)) + "\n", encoding="utf-8")
    return path


def checked_claims(table: Table, game: str, rows: dict[str, dict[str, Values]]) -> list[Figures]:
    """Return how far the claims hold whose rows were measured."""
    paper = table.paper_for(game)[1]
    return [_check(claim, rows, paper) for claim in table.claims if {claim.above, claim.below} <= rows.keys()]


def markdown(rows: dict[str, dict[str, Values]], paper: Rows) -> str:
    """Return a Markdown table: mean and standard deviation over seeds, and the paper's figure in brackets."""
    everything: list[dict[str, Any]] = [*rows.values(), *(paper[row] for row in rows if row in paper)]
    shown = [metric for metric in METRICS if any(figures.get(metric) is not None for figures in everything)]
    lines = []
    for row, figures in rows.items():
        published = paper.get(row, {})
        cells = [f"{_spread(figures.get(metric, []))} {_bracket(published.get(metric))}".strip() for metric in shown]
        lines.append([row, *cells])
    return markdown_table(["", *(METRICS[metric] for metric in shown)], lines)


def _page(table: Table, results: Results, claims: dict[str, list[Figures]], facts: Figures, name: str) -> list[str]:
    paragraphs = [f"# Table {table.number}: {table.title}", table.about, _explanation(facts)]
    for game, rows in results.items():
        nearest, paper = table.paper_for(game)
        paragraphs += [f"## {game}", f"In brackets the paper's figures, of {nearest}.", markdown(rows, paper)]
        paragraphs += ["\n".join(_sentence(claim) for claim in claims[game])]
    seeds = ", ".join(map(str, facts["seeds"]))
    made = f"Made with {made_with(facts)}; scale `{facts['scale']}`, seeds {seeds}. Resumable: rerun the same command."
    return [*paragraphs, f"![PSNR and delta-PSNR]({name}.png)", made]


def _explanation(facts: Figures) -> str:
    return (
        f"Each clip begins with 2 real frames; PSNR and SSIM are means over the {facts['sizes']['horizon']} frames "
        "predicted, in a single pass unless a row says autoregressive. A tokenizer's row scores all frames, encoded "
        "and decoded; a LAM's each next frame, predicted from the real one before it and a latent action. delta-PSNR "
        "is what frame t = 4 loses under random actions. The Frechet distance is one of thumbnails (means of 8x8 "
        "pixels) and cannot be compared with the paper's FID."
    )


def _spread(values: Values) -> str:
    known = read_values(values)
    return mean_and_deviation(values, digits=3 if len(known) and abs(known.mean()) < 1 else 2)


def _bracket(value: float | None) -> str:
    return "" if value is None else f"({value:g})"


def _check(claim: Claim, rows: dict[str, dict[str, Values]], paper: Rows) -> Figures:
    """Return how far one row lies above the other, seed by seed; and in the paper, if it has both."""
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


def _sentence(claim: Figures) -> str:
    gains = claim["gains"]
    paper = "" if claim["paper"] is None else f"paper {claim['paper']:+g}"
    verdict = {len(gains): "holds", 0: "does not hold"}.get(claim["seeds_above"], "unclear")
    if len(gains) == 1:  # with nothing to tell it from chance
        verdict += " in the only seed"
    counted = f"{claim['seeds_above']} of {len(gains)} seeds" if len(gains) > 1 else ""
    aside = "; ".join(filter(None, (counted, paper)))
    what = f"- {METRICS[claim['metric']]}, {claim['above']} above {claim['below']}"
    return f"{what}: {verdict}, by {_spread(gains)}" + (f" ({aside})" if aside else "")


def _plot(table: Table, results: Results, path: Path) -> None:
    """Plot bars for ours, with the deviation over seeds, and crosses for the paper's."""
    metrics = ("psnr", "delta_psnr")
    height = 0.8 + 0.32 * sum(len(rows) for rows in results.values())
    figure = Figure(figsize=(11, height + 0.5 * len(results)), layout="constrained")
    panels = figure.subplots(len(results), len(metrics), squeeze=False)
    for (game, rows), line in zip(results.items(), panels, strict=True):
        paper = table.paper_for(game)[1]
        for axes, metric in zip(line, metrics, strict=True):
            _bars(axes, rows, paper, metric)
            axes.set(title=game if metric == "psnr" else "", xlabel=METRICS[metric])
        line[1].set_yticklabels([])
    figure.legend(*panels[0, 0].get_legend_handles_labels(), fontsize="small", ncols=2, loc="outside upper right")
    figure.savefig(path, dpi=110)


def _bars(axes: Any, rows: dict[str, dict[str, Values]], paper: dict[str, Row], metric: str) -> None:
    known = [read_values(figures.get(metric, [])) for figures in rows.values()]
    means = [values.mean() if len(values) else np.nan for values in known]
    errors = [values.std(ddof=1) if len(values) > 1 else 0 for values in known]
    heights = np.arange(len(rows))
    axes.barh(heights, means, xerr=errors, color="tab:blue", label="ours")
    published = [paper.get(row, {}).get(metric) for row in rows]
    crosses = [np.nan if value is None else value for value in published]
    axes.plot(crosses, heights, "x", color="tab:orange", label="the paper's")
    axes.set_yticks(heights, list(rows))
    axes.invert_yaxis()
