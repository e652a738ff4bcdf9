"""A look inside a world model: all studies at once, as figures, and as a page with pictures.

Shapes: b pieces of play, t frames, a actions, k steps, s side of a frame in pixels.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from genie_gym.checks import at_least, check_seed
from genie_gym.data import Recording
from genie_gym.devices import use_threads
from genie_gym.errors import DataError
from genie_gym.files import write_aside
from genie_gym.metrics import Frames, psnr
from genie_gym.pipeline.figures import plain
from genie_gym.pipeline.inspect_page import draw_page
from genie_gym.pipeline.studies import (
    Play,
    action_differences,
    action_strips,
    autoexplore,
    chance_to_exceed,
    code_usage,
    dreamed_play,
    largest_changes,
    recorded_play,
    reward_maps,
    static_token,
    strange_rewards,
    swapped_pictures,
    uncertainty_maps,
)
from genie_gym.pipeline.studies.codes import STILL, CodeUsage, StaticToken
from genie_gym.pipeline.tokens import encode
from genie_gym.world_model import Checkpoint

__all__ = ["Findings", "InspectReport", "inspect", "study"]

LENGTH = 16  # frames of a piece
STARTS = 8  # pieces from whose first frames every action is tried
HELD = 8  # steps for which it is held


@dataclass(frozen=True)
class Findings:
    """What the studies found in one model.

    Attributes:
        play: what it was studied on.
        tokens: int64 (b, t, n), those of the play.
        swapped: pictures by kind of code, uint8 (b, t, s, s, 3) each; see `swapped_pictures`.
        usage, static: of the tokens.
        maps, wrong: float32 and bool (b, t - 1, side, side) of the next frames, see `uncertainty_maps`.
        changes: int16 (b, t - 1, side, side), since the frame before, see `largest_changes`.
        ahead: float32 (b, m, side, side) of the last m frames, see `reward_maps`.
        moved: int16 (b, m, side, side), since the last frame that AutoExplore is shown.
        rewards: float32 (b,) by kind of pictures, see `strange_rewards`.
        strips, again: uint8 (starts, a, k, s, s, 3), see `action_strips`; with one noise and with another.
    """

    play: Play
    tokens: np.ndarray
    swapped: dict[str, Frames]
    usage: CodeUsage
    static: StaticToken
    maps: np.ndarray
    wrong: np.ndarray
    changes: np.ndarray
    ahead: np.ndarray
    moved: np.ndarray
    rewards: dict[str, np.ndarray]
    strips: Frames
    again: Frames

    def figures(self) -> dict[str, Any]:
        """The findings as JSON values; PSNR in dB, differences in pixel levels, shares and chances 0 to 1."""
        seen = self.swapped["reconstruction"]
        known = self.rewards["play"]
        return plain(
            {
                "swapped codes": {
                    kind: {"psnr": psnr(shown, self.play.frames).mean(), "off reconstruction": _distance(shown, seen)}
                    for kind, shown in self.swapped.items()
                },
                "codebook": {
                    "codes": len(self.usage.counts),
                    "used": self.usage.used,
                    "perplexity": self.usage.perplexity,
                    "idle after training": self.usage.idle,
                    "tokens looked at": self.tokens.size,
                },
                "static token": vars(self.static),
                "uncertainty": _apart("moving", "still", self.maps, self.changes > STILL),
                "uncertainty where it is wrong": _apart("wrong", "right", self.maps, self.wrong),
                "uncertainty further ahead": _apart("moving", "still", self.ahead, self.moved > STILL),
                "reward": {kind: rewards.mean() for kind, rewards in self.rewards.items()},
                "reward above that of play": {
                    kind: chance_to_exceed(rewards, known) for kind, rewards in self.rewards.items() if kind != "play"
                },
                "actions differ": action_differences(self.strips, self.again).tolist(),
            }
        )


@dataclass(frozen=True)
class InspectReport:
    """How a look inside ended.

    Attributes:
        game: its name.
        source: what play it was studied on, in words.
        figures: see `Findings.figures`.
        page: the HTML file; figures.json lies beside it.
    """

    game: str
    source: str
    figures: dict[str, Any]
    page: Path

    def __rich__(self) -> Table:
        title = f"{self.game}, studied on {self.source}"
        table = Table(title=title, box=box.SIMPLE_HEAD, show_header=False, min_width=len(title))
        for kind, found in self.figures["swapped codes"].items():
            words = kind if kind == "reconstruction" else f"{kind} codes in their place"
            table.add_row(words, f"{found['psnr']:.1f} dB")
        codebook = self.figures["codebook"]
        table.add_row("codes used; perplexity", f"{codebook['used']}; {codebook['perplexity']:.0f}")
        for kind in ("uncertainty", "uncertainty where it is wrong", "uncertainty further ahead"):
            (one, first), (other, second), _ = self.figures[kind].items()
            table.add_row(f"{kind.partition(' where')[0]}: {one}, {other}", f"{_number(first)}, {_number(second)}")
        for kind, reward in self.figures["reward"].items():
            table.add_row(f"AutoExplore's reward of {kind}", _number(reward))
        return table


def study(checkpoint: Checkpoint, play: Play, seed: int = 0) -> Findings:
    """All studies of one model on some play of at least five frames a piece."""
    model, side = checkpoint.model, checkpoint.model.tokenizer.config.side
    tokens = encode(model, play.frames)
    static = static_token(tokens, play.frames)
    context = checkpoint.starts["frames"].shape[1]
    prompts, led = play.frames[:STARTS, :context], play.actions[:STARTS, : context - 1]
    strips, again = (action_strips(checkpoint, prompts, led, HELD, seed=seed + i) for i in range(2))
    maps, wrong = uncertainty_maps(model, play.frames, play.actions)
    ahead, horizon = reward_maps(model, play.frames, play.actions), autoexplore(model).horizon
    return Findings(
        play,
        tokens,
        swapped_pictures(model, play.frames, static.token),
        code_usage(model, tokens),
        static,
        maps,
        wrong,
        largest_changes(play.frames, side),
        ahead,
        largest_changes(play.frames, side, horizon)[:, -ahead.shape[1] :],
        strange_rewards(model, play, seed),
        strips,
        again,
    )


def inspect(
    checkpoint: Checkpoint,
    recording: Recording | None = None,
    *,
    pieces: int = 32,
    seed: int = 0,
    out: str | Path = "inspect",
    threads: int | None = None,
) -> InspectReport:
    """Studies a model and writes report.html, which holds its pictures, and figures.json into a folder.

    Args:
        checkpoint: what to look into.
        recording: play of its game, of which the held-out episodes are used. None lets the model dream on from the
            pieces of real play in its checkpoint, which says less: it knows its own pictures.
        pieces: of play, of 16 frames each.
        seed: of everything random; the same call gives the same figures.
        out: the folder.
        threads: CPU threads; torch's choice by default.

    Raises:
        ConfigError: no piece or no thread is asked for, or the recording is of a game with other actions.
        DataError: no held-out episode is long enough, or the folder cannot be written.
    """
    at_least(1, pieces=pieces)
    check_seed(seed)
    use_threads(threads)
    _make(Path(out))
    game = checkpoint.game["name"]
    if recording is None:
        source, play = "the model's own dreams", dreamed_play(checkpoint, pieces, LENGTH, seed)
    else:
        source, play = "held-out play", recorded_play(checkpoint, recording, pieces, LENGTH, seed)
    findings = study(checkpoint, play, seed)
    folder = str(recording.folder) if recording else None
    settings = {"game": game, "source": source, "recording": folder, "pieces": pieces, "frames a piece": LENGTH}
    figures = settings | {"seed": seed, "actions": _meanings(checkpoint)} | findings.figures()
    write_aside(Path(out) / "figures.json", json.dumps(figures, indent=1).encode())
    page = Path(out) / "report.html"
    write_aside(page, draw_page(checkpoint, findings, figures).encode())
    return InspectReport(game, source, figures, page)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to {folder} ({error.strerror}); give another folder with --out") from error


def _meanings(checkpoint: Checkpoint) -> list[str]:
    return [action["meaning"] for action in checkpoint.game["actions"]]


def _distance(shown: Frames, seen: Frames) -> float:
    """Mean absolute difference in pixel levels."""
    return float(np.abs(shown.astype(np.int16) - seen).mean())


def _apart(name: str, other: str, values: np.ndarray, where: np.ndarray) -> dict[str, float]:
    """Means of values where something is so and where it is not, and how often the one is above the other."""
    these, those = values[where], values[~where]
    return {name: _mean(these), other: _mean(those), f"{name} above {other}": chance_to_exceed(these, those)}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
