"""The page of `genie-gym inspect`: the studies of a model as pictures, curves and tables.

Shapes: b pieces of play, t frames, a actions, k steps, s side of a frame in pixels.
"""

from collections.abc import Iterable
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from genie_gym.frames import enlarge, strip
from genie_gym.metrics import Frames
from genie_gym.pipeline.page import document, labelled, picture, plot, table
from genie_gym.pipeline.provenance import code_version
from genie_gym.pipeline.studies import autoexplore
from genie_gym.pipeline.studies.codes import STILL
from genie_gym.pipeline.studies.pictures import heat, token_colours
from genie_gym.pipeline.studies.strips import action_differences, changes_by_action
from genie_gym.world_model import Checkpoint

if TYPE_CHECKING:
    from genie_gym.pipeline.inspect import Findings

__all__ = ["draw_page"]

PICTURED = 2  # pieces shown
COLUMNS = 8  # frames of each
ZOOM = 2

BODY = Template("""
<p>Studied on $source: $pieces pieces of $length frames. PSNR in dB; differences in pixel levels, 0 to 255.</p>
<h2>What the codes mean</h2>
<p>Each frame is $n tokens, each one of $codes codes. Below, every token is replaced by the code most like it, and by
the code least like it, by the cosine; the static token $static stays. Where close codes look alike, a near miss of
the dynamics costs little: this is what the token distance term of the loss relies on. In the last row each code has a
colour of its own, the static token black.</p>$swapped_table$swapped_pictures
<h2>How the codebook is used</h2>$usage
<p>The more frequent a code, the further left. Codes that these tokens do not use may be of use elsewhere; codes idle
after the training were chosen by hardly anything in it.</p>$usage_plot
<h2>The token of what is still</h2>
<p>A patch is still where no pixel changed by more than $still levels since the frame before. A tokenizer that encodes
change alone gives all still patches one static token; one that describes each picture anew does not.</p>$static_table
<h2>Where the model is unsure</h2>
<p>The entropy of each token of a frame, 0 certain to 2 anything: of the next frame, given all frames before it and the
action; and as AutoExplore pays for it, $horizon frames ahead of the two it is shown. The brightest colour stands for
$brightest. The last row is how much each patch changed since the last frame AutoExplore saw.</p>$maps
<p>The last column is the chance that, of two patches, the first kind has the larger uncertainty; 0.5 is no relation. A
model that knows its game is not unsure of motion as such, one frame ahead, but of what it cannot know.</p>$doubts
$doubt_plot
<p>AutoExplore's reward of the play, and of the same with pictures the model has never seen; the last column is the
chance that it pays more for such a piece than for one of the play.</p>$rewards
<h2>What each action does</h2>
<p>From one start, that from which the actions lead furthest apart, each is held for $held steps with the same noise.
The last picture shows where its end differs from the median of all actions' ends.</p>$strips
<p>Mean difference of two actions' last pictures, each drawn with other noise, over $starts starts. The diagonal is what
noise alone makes of an action: actions that differ by no more cannot be told apart.</p>$differences
<h2>How it was made</h2>$settings
<p>genie_gym $version</p>""")


def draw_page(checkpoint: Checkpoint, findings: "Findings", figures: dict[str, Any]) -> str:
    """The whole page as HTML.

    Args:
        findings: of `study`.
        figures: theirs, with the settings.
    """
    static, brightest = figures["static token"], _brightest(findings)
    settings = [(name, figures[name]) for name in ("game", "source", "recording", "pieces", "frames a piece", "seed")]
    body = BODY.substitute(
        source=escape(_source(figures)),
        pieces=figures["pieces"],
        length=figures["frames a piece"],
        n=checkpoint.model.tokens,
        codes=figures["codebook"]["codes"],
        static=static["token"],
        swapped_table=_swapped_table(figures["swapped codes"]),
        swapped_pictures="".join(_swapped(findings, piece) for piece in _liveliest(findings)),
        usage=table(figures["codebook"].keys(), [figures["codebook"].values()]),
        usage_plot=_usage_plot(findings.usage.counts),
        still=STILL,
        static_table=_static_table(static),
        brightest=f"{brightest:.2g}",
        maps="".join(_maps(findings, piece, brightest) for piece in _liveliest(findings)),
        horizon=autoexplore(checkpoint.model).horizon,
        doubts=_doubts_table(figures),
        doubt_plot=_doubt_plot(findings),
        rewards=_rewards_table(figures),
        held=findings.strips.shape[2],
        strips=_strips(findings, figures["actions"]),
        starts=len(findings.strips),
        differences=table(["", *figures["actions"]], _named(figures["actions"], figures["actions differ"])),
        settings=table(("setting", "value"), [*settings, *_made(checkpoint)]),
        version=escape(code_version()),
    )
    return document(f"Inside the world model of {figures['game']}", body)


def _source(figures: dict[str, Any]) -> str:
    if figures["recording"]:
        return f"held-out play of {figures['recording']}"
    return "dreams of its own, from the pieces of real play in its checkpoint; recorded play (--data) would say more"


def _liveliest(findings: "Findings") -> list[int]:
    """The pieces in which most changes in the frames that are shown."""
    moved = findings.changes[:, : COLUMNS - 1].mean((1, 2, 3))
    return np.argsort(-moved, kind="stable")[:PICTURED].tolist()


def _row(frames: Frames, title: str) -> str:
    """Pictures side by side, uint8 (n, s, s, 3)."""
    return picture(enlarge(strip(frames), ZOOM), title)


def _swapped(findings: "Findings", piece: int) -> str:
    shown = slice(0, COLUMNS)
    size, codes = findings.play.frames.shape[-2], len(findings.usage.counts)
    colours = token_colours(findings.tokens[piece, shown], codes, size, findings.static.token)
    rows = {"play": findings.play.frames[piece, shown]}
    rows |= {name: pictures[piece, shown] for name, pictures in findings.swapped.items()}
    return labelled((name, _row(frames, name)) for name, frames in (rows | {"tokens": colours}).items())


def _swapped_table(figures: dict[str, dict[str, float]]) -> str:
    head = ("tokens", "PSNR against the play, dB", "difference from the reconstruction")
    return table(head, ((kind, found["psnr"], found["off reconstruction"]) for kind, found in figures.items()))


def _usage_plot(counts: np.ndarray) -> str:
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    ordered = np.sort(counts)[::-1]
    axes.fill_between(np.arange(1, len(ordered) + 1), ordered / ordered.sum(), step="mid")
    axes.axhline(1 / len(ordered), color="C1", linestyle="--", label="all codes evenly")
    axes.set(yscale="log", xlabel="code, by use", ylabel="share of tokens", xlim=(0, len(ordered)))
    axes.legend()
    return plot(figure, "use of the codes")


def _static_table(static: dict[str, Any]) -> str:
    head = ("patches", "share of all", f"token {static['token']}", "same token as in the frame before")
    moving = None if static["still"] is None else 1 - static["still"]
    rows = [("still", static["still"], static["share"], static["kept"])]
    return table(head, [*rows, ("moving", moving, static["moving_share"], static["moving_kept"])])


def _brightest(findings: "Findings") -> float:
    """All but the largest hundredth of the entropies lie below: a fixed scale would leave a sure model's maps black."""
    return max(*(float(np.quantile(maps, 0.99)) for maps in (findings.maps, findings.ahead)), 0.05)


def _maps(findings: "Findings", piece: int, brightest: float) -> str:
    """The first frames for which there is everything."""
    ahead, moved = findings.ahead[piece], findings.moved[piece]
    frames, maps = (x[piece, -len(ahead) :][:COLUMNS] for x in (findings.play.frames, findings.maps))
    rows = {
        "play": frames,
        "next frame": heat(frames, maps, brightest),
        "further ahead": heat(frames, ahead[:COLUMNS], brightest),
        "change": heat(frames, moved[:COLUMNS], max(float(moved[:COLUMNS].max()), 1)),
    }
    return labelled((name, _row(pictures, name)) for name, pictures in rows.items())


def _doubts_table(figures: dict[str, Any]) -> str:
    kinds = {
        "next frame: moving, still": "uncertainty",
        "next frame: token predicted wrong, right": "uncertainty where it is wrong",
        "further ahead: moving, still": "uncertainty further ahead",
    }
    head = ("patches", "mean of the first", "of the second", "chance that the first is above")
    return table(head, ((words, *figures[kind].values()) for words, kind in kinds.items()))


def _doubt_plot(findings: "Findings") -> str:
    """Entropies where the likeliest token is wrong and right; AutoExplore's reward of play and of strange pictures."""
    figure = Figure(figsize=(11, 3), layout="constrained")
    patches, rewards = figure.subplots(1, 2)
    for name, values in (("right", findings.maps[~findings.wrong]), ("wrong", findings.maps[findings.wrong])):
        if values.size:
            patches.hist(values, np.linspace(0, 2, 61), density=True, histtype="step", label=f"predicted {name}")
    patches.set(yscale="log", xlabel="uncertainty of the next frame's tokens", ylabel="density")
    patches.legend()
    kinds = list(findings.rewards)
    rewards.boxplot(list(findings.rewards.values()), whis=(0, 100))
    rewards.set_xticks(range(1, len(kinds) + 1), kinds)
    rewards.set(ylabel="AutoExplore's reward")
    return plot(figure, "uncertainty")


def _rewards_table(figures: dict[str, Any]) -> str:
    above = figures["reward above that of play"]
    rows = ((kind, reward, above.get(kind)) for kind, reward in figures["reward"].items())
    return table(("pictures", "mean reward", "chance to be above play"), rows)


def _strips(findings: "Findings", meanings: Iterable[str]) -> str:
    """The start from which actions lead furthest apart, beyond what other noise does: one row for each action."""
    pairs = zip(findings.strips, findings.again, strict=True)
    differences = [action_differences(one[None], other[None]) for one, other in pairs]
    strips = findings.strips[int(np.argmax([found.mean() - found.diagonal().mean() for found in differences]))]
    changes = changes_by_action(strips[:, -1:])  # (a, 1, s, s)
    rows = np.concatenate([strips, heat(strips[:, -1:], changes, max(float(changes.max()), 1))], 1)
    return labelled((name, _row(row, name)) for name, row in zip(meanings, rows, strict=True))


def _named(names: Iterable[str], rows: Iterable[Iterable[float]]) -> list[list[Any]]:
    return [[name, *row] for name, row in zip(names, rows, strict=True)]


def _made(checkpoint: Checkpoint) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in checkpoint.provenance.items() if not isinstance(value, dict)]
