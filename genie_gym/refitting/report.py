"""Report of a refit: one HTML file with figures, curves, images, settings and commands."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from genie_gym.analysis.html import document, embed, plot, table
from genie_gym.exploration.explore import GIF
from genie_gym.refitting.results import ModelScore, RoundReport
from genie_gym.utils.atomic import atomic_write
from genie_gym.utils.paths import read_regular
from genie_gym.utils.version import code_version

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_page"]

LARGEST_IMAGE = 2**26  # bytes of a file
MODELS = {"base": "without", "refitted": "with"}  # fields of `Comparison`, and how they read before "refit"
BODY = Template("""
<p>Policy source: $source. Each round finetunes the world model on old and new episodes. The models are evaluated on
held-out episodes that neither was trained on, on the same clips with and without refit.</p>
<h2>Rounds</h2>$rounds
<h2>State coverage</h2>
<p>On the same number of frames of each run: visited cells (frames that differ in 8 x 8 squares of 32 grey levels) and
distinct positions of the player, where the game's memory holds them.</p>$coverage
<h2>With and without refit</h2>
<p>Each frame is predicted from the frames predicted before it. Delta-PSNR is the loss of PSNR at frame 4 under random
actions. The intrinsic reward, 0 to 2, is the uncertainty of the model on these episodes.</p>$scores$plots
<h2>Images</h2>
<p>Three rows per clip: real, predicted, last real frame repeated; time runs to the right.</p>$images
<h2>Reproduction</h2><pre>$command</pre>
<p>Resumable: rerun the same command; with more rounds it adds to them. Step the refitted model with
<code>gymnasium.make("genie_gym:GenieRedux/$game-v0", checkpoint="$checkpoint")</code>.</p>$settings
<p>genie_gym $version</p>""")


def write_page(folder: Path, settings: dict[str, Any], rounds: Sequence[RoundReport]) -> Path:
    """Write report.html into the folder of a run, from its settings, results and images.

    Args:
        folder: Folder of the run.
        settings: Settings of the run as JSON values, see `RefitConfig.identity`.
        rounds: Results of each round, in order.

    Returns:
        The file.

    Raises:
        DataError: It cannot be written.
    """
    game = settings["game"]
    last = max((number for number, one in enumerate(rounds, 1) if one.finetuning), default=0)
    body = BODY.substitute(
        game=escape(game),
        source=escape(settings["policy_source"]),
        rounds=_rounds(rounds),
        coverage=_coverage(rounds),
        scores=_scores(rounds),
        plots=_plots(rounds),
        images=_images(folder, rounds),
        command=escape(_command(folder, settings, rounds)),
        checkpoint=escape(str(folder / f"round-{last}" / "checkpoint")),
        settings=table(("setting", "value"), settings.items()),
        version=escape(code_version()),
    )
    atomic_write(folder / "report.html", document(f"Refit of {game}", body).encode())
    return folder / "report.html"


def _rounds(rounds: Sequence[RoundReport]) -> str:
    head = (
        "round",
        "imagined steps",
        "explorer's steps",
        "its last reward",
        "cells it visited",
        "steps collected",
        "decoder, dB held out",
        "dynamics, nats held out",
        "minutes",
    )
    return table(head, (_round(number, one) for number, one in enumerate(rounds, 1)))


def _round(number: int, one: RoundReport) -> tuple[Any, ...]:
    explored, tuned = one.exploration, one.finetuning
    return (
        number,
        one.imagined and one.imagined.steps,
        explored and explored.steps,
        explored and explored.reward,
        explored and explored.visited_cells,
        one.collection and one.collection.steps,
        tuned and tuned.decoder.get("psnr"),
        tuned and tuned.dynamics.get("cross_entropy"),
        one.seconds / 60,
    )


def _coverage(rounds: Sequence[RoundReport]) -> str:
    rows: list[tuple[Any, ...]] = []
    for number, one in enumerate(rounds, 1):
        if one.coverage and one.coverage.error:
            rows.append((number, one.coverage.error))
        for run in one.coverage.runs if one.coverage else ():
            rows.append((number, run.label, run.frames, run.visited_cells, run.positions))
    return table(("round", "run", "frames", "visited cells", "positions"), rows)


def _models(rounds: Sequence[RoundReport]) -> Iterator[tuple[int, str, str, ModelScore]]:
    """Round, episodes, model ("with" or "without" refit) and its scores."""
    for number, one in enumerate(rounds, 1):
        for name, scores in one.scores.items():
            for model, title in MODELS.items():
                yield number, name, title, getattr(scores, model)


def _scores(rounds: Sequence[RoundReport]) -> str:
    titles: list[str] = []
    rows = []
    for number, name, model, score in _models(rounds):
        figures = score.main_figures()
        titles = list(figures)
        rows.append((number, name, model, *figures.values()))
    return table(("round", "episodes", "refit", *titles), rows)


def _plots(rounds: Sequence[RoundReport]) -> str:
    """PSNR by step of the prediction in the last round; PSNR at t = 4 and intrinsic reward by round."""
    scored = [number for number, one in enumerate(rounds, 1) if one.scores]
    if not scored:
        return ""
    from matplotlib.figure import Figure  # without pyplot: no window, and nothing to close

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    steps, psnr, reward = figure.subplots(1, 3)
    for i, name in enumerate(rounds[scored[-1] - 1].scores):
        for model in MODELS:
            _plot_model(rounds, name, model, f"C{i}", (steps, psnr, reward))
    steps.set(title=f"PSNR, round {scored[-1]}, dB", xlabel="step")
    psnr.set(title="PSNR t = 4, dB", xlabel="round", xticks=scored)
    reward.set(title="intrinsic reward", xlabel="round", xticks=scored)
    steps.legend(fontsize="small", title="refit", title_fontsize="small")
    return plot(figure, "curves")


def _plot_model(
    rounds: Sequence[RoundReport], name: str, model: str, color: str, axes: tuple["Axes", "Axes", "Axes"]
) -> None:
    line, marker = ("-", "o") if model == "refitted" else ("--", "x")
    style: dict[str, Any] = {"color": color, "linestyle": line, "label": f"{name}, {MODELS[model]}"}
    scores: dict[int, ModelScore] = {
        number: getattr(one.scores[name], model) for number, one in enumerate(rounds, 1) if name in one.scores
    }
    figures = [score.main_figures() for score in scores.values()]
    steps, psnr, reward = axes
    last = scores[max(scores)].psnr
    steps.plot(range(1, len(last) + 1), last, **style)
    for below, title in ((psnr, "PSNR t = 4, dB"), (reward, "intrinsic reward")):
        values: Any = [one[title] for one in figures]
        below.plot(list(scores), values, marker=marker, **style)


def _images(folder: Path, rounds: Sequence[RoundReport]) -> str:
    parts = []
    for number, one in enumerate(rounds, 1):
        place = folder / f"round-{number}"
        found = [("an episode of the explorer", place / "explorer" / GIF)]
        for name in one.scores:
            drawn = place / "images" / name
            found += [(f"{name} episodes, {MODELS[m]} refit", drawn / m / "prediction.png") for m in MODELS]
        for title, path in found:
            with suppress(OSError):  # it is not there
                image = embed(_content(folder, path), path.suffix[1:], title)
                parts.append(f"<h3>Round {number}: {escape(title)}</h3>{image}")
    return "".join(parts)


def _content(folder: Path, path: Path) -> bytes:
    """Return the content of a picture of the run; a link out of a stranger's run would put any file into the page.

    Raises:
        OSError: It is not there, or no file of the run.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OSError(f"{path} leads out of {folder}")
    return read_regular(path, LARGEST_IMAGE)


def _command(folder: Path, settings: dict[str, Any], rounds: Sequence[RoundReport]) -> str:
    """The command that repeats this run, with every setting written out."""
    words = ["genie-gym", "refit", settings["game"], "--rounds", str(len(rounds))]
    options = {name: value for name, value in settings.items() if name != "game" and value is not None}
    test = [one.scores["test"].dataset for one in rounds if "test" in one.scores]
    options |= {"test": test[-1]} if test else {}
    for name, value in (options | {"run": folder}).items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
