"""The report of a refit: one HTML file with its figures, curves, pictures, settings and commands."""

import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from genie_gym.files import write_aside
from genie_gym.pipeline.page import document, embed, plot, table
from genie_gym.pipeline.provenance import code_version
from genie_gym.pipeline.refit_score import SCORE, main_figures, scores_of
from genie_gym.pipeline.settings import read_notes

__all__ = ["write_page"]

BODY = Template("""
<p>Play comes from: $source. Each round tunes the world model on old and new play; models are scored on held-out play
that neither was trained on, the same pieces with and without refit.</p>
<h2>Rounds</h2>$rounds
<h2>Places reached</h2>
<p>On equally many frames of each run: different pictures (8 x 8 cells of 32 grey levels), and positions of the player
where the game tells them.</p>$places
<h2>With and without refit</h2>
<p>Each frame is predicted from the predictions before it; delta-PSNR is what frame 4 loses under random actions; the
intrinsic reward, 0 to 2, is how unsure the model is of that play.</p>$scores$plots
<h2>Pictures</h2>
<p>Three rows a clip: real, predicted, last real frame repeated; time goes to the right.</p>$pictures
<h2>How it was made</h2><pre>$command</pre>
<p>The same command goes on where it was interrupted; with more rounds it adds to them. Step the refitted model with
<code>gymnasium.make("genie_gym:GenieRedux/$game-v0", checkpoint="$checkpoint")</code>.</p>$settings
<p>genie_gym $version</p>""")


def write_page(folder: Path, game: str, rounds: Sequence[dict[str, Any]]) -> Path:
    """Writes report.html into a run's folder, from its settings, figures and pictures.

    Args:
        folder: of the run.
        rounds: the figures of each round, empty where it was not begun.

    Returns:
        the file.

    Raises:
        DataError: it cannot be written.
    """
    settings = read_notes(folder / "settings.json")
    tuned = [number for number, figures in enumerate(rounds, 1) if "tune" in figures]
    body = BODY.substitute(
        game=escape(game),
        source=escape(settings["data_from"]),
        rounds=_rounds(rounds),
        places=_places(rounds),
        scores=_scores(rounds),
        plots=_plots(rounds),
        pictures=_pictures(folder, rounds),
        command=escape(_command(folder, settings, rounds)),
        checkpoint=escape(str(folder / f"round-{max(tuned, default=0)}" / "checkpoint")),
        settings=table(("setting", "value"), settings.items()),
        version=escape(code_version()),
    )
    write_aside(folder / "report.html", document(f"Refit of {game}", body).encode())
    return folder / "report.html"


def _rounds(rounds: Sequence[dict[str, Any]]) -> str:
    rows = []
    for number, figures in enumerate(rounds, 1):
        explored, tuned = figures.get("explore", {}), figures.get("tune", {})
        minutes = sum(part["seconds"] for part in figures.values()) / 60
        dreamed = figures.get("dream", {}).get("steps")
        trained = [dreamed, *(explored.get(name) for name in ("steps", "reward", "places"))]
        fits = tuned.get("decoder", {}).get("psnr"), tuned.get("dynamics", {}).get("cross_entropy")
        rows.append((number, *trained, figures.get("collect", {}).get("steps"), *fits, minutes))
    head = (
        "round",
        "steps dreamed",
        "steps of the explorer",
        "its reward at the end",
        "pictures it saw",
        "steps collected",
    )
    return table((*head, "decoder, dB held out", "dynamics, nats held out", "minutes"), rows)


def _places(rounds: Sequence[dict[str, Any]]) -> str:
    rows: list[tuple[Any, ...]] = []
    for number, figures in enumerate(rounds, 1):
        counted = {name: one for name, one in figures.get("places", {}).items() if name != "seconds"}
        if "error" in counted:
            rows.append((number, counted["error"]))
            continue
        rows += [
            (number, run, *(one[name] for name in ("frames", "pictures", "positions"))) for run, one in counted.items()
        ]
    return table(("round", "play", "frames", "pictures", "positions"), rows)


def _scores(rounds: Sequence[dict[str, Any]]) -> str:
    rows, names = [], ["round", "play", "refit"]
    for number, figures in enumerate(rounds, 1):
        for place, scored in scores_of(figures).items():
            for model in ("without", "with"):
                main = main_figures(scored[model])
                names[3:] = main
                rows.append((number, place, model, *main.values()))
    return table(names, rows)


def _plots(rounds: Sequence[dict[str, Any]]) -> str:
    """PSNR by step of the prediction in the last round; PSNR at t = 4 and intrinsic reward by round."""
    scored = {number: scores_of(figures) for number, figures in enumerate(rounds, 1) if scores_of(figures)}
    if not scored:
        return ""
    from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    steps, psnr, reward = figure.subplots(1, 3)
    last = scored[max(scored)]
    for i, (place, models) in enumerate(last.items()):
        for model, line, marker in (("with", "-", "o"), ("without", "--", "x")):
            style = {"color": f"C{i}", "linestyle": line, "label": f"{place}, {model}"}
            values = models[model]["prediction"]["psnr"]
            steps.plot(range(1, len(values) + 1), values, **style)
            there = [number for number in scored if place in scored[number]]
            mains = [main_figures(scored[number][place][model]) for number in there]
            psnr.plot(there, [main["PSNR t = 4, dB"] for main in mains], marker=marker, **style)
            reward.plot(there, [main["intrinsic reward"] for main in mains], marker=marker, **style)
    for axes, title, below in (
        (steps, f"PSNR, round {max(scored)}, dB", "step"),
        (psnr, "PSNR t = 4, dB", "round"),
        (reward, "intrinsic reward", "round"),
    ):
        axes.set(title=title, xlabel=below)
        if below == "round":
            axes.set_xticks(list(scored))
    steps.legend(fontsize="small", title="refit", title_fontsize="small")
    return plot(figure, "curves")


def _pictures(folder: Path, rounds: Sequence[dict[str, Any]]) -> str:
    parts = []
    for number, figures in enumerate(rounds, 1):
        place = folder / f"round-{number}"
        found = [("what the explorer found", place / "explorer" / "found.gif")]
        for play in scores_of(figures):
            drawn = place / "pictures" / play.replace(" ", "-")
            found += [(f"{play}, {model} refit", drawn / model / "prediction.png") for model in ("without", "with")]
        for title, path in found:
            if path.is_file():
                image = embed(path.read_bytes(), path.suffix[1:], title)
                parts.append(f"<h3>Round {number}: {escape(title)}</h3>{image}")
    return "".join(parts)


def _command(folder: Path, settings: dict[str, Any], rounds: Sequence[dict[str, Any]]) -> str:
    """What makes this run again, with every setting written out."""
    words = ["genie-gym", "refit", settings["game"], "--rounds", str(len(rounds))]
    options = {name: value for name, value in settings.items() if name != "game" and value is not None}
    test = [figures[f"{SCORE}test play"]["recording"] for figures in rounds if f"{SCORE}test play" in figures]
    options |= {"test": test[-1]} if test else {}
    for name, value in (options | {"run": folder}).items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
