"""Where the arms of all tables are made: recordings, agents, fits and scores, each kept as soon as it is done."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from arms import Arms, Figures, Stopped

from genie_gym.data import Recording, RecordingWriter
from genie_gym.errors import ConfigError
from genie_gym.pipeline.button_map import map_buttons
from genie_gym.pipeline.collect import collect
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.explore import explore
from genie_gym.pipeline.fit_world import fit_world
from genie_gym.pipeline.tune import TuneConfig, tune
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.weights import load_weights
from paper_tables.scales import Scale
from paper_tables.scores import SAMPLING, next_frame_figures

__all__ = ["Lab", "label"]

RANDOM_SHARE = 0.15  # of an explorer's recorded actions, as in the paper's published code


class Lab(Arms):
    """Makes the tables' arms.

    Args:
        work: folder of everything; it belongs to one scale.
        scale: sizes of all arms.
        games: canonical names of those that tables are made of.
        many: those that a model of many games is trained on first (the paper's 200); none by default.
        perceptual: whether models are scored by FID too, for which Inception's weights must be at hand.

    Attributes:
        sizes: of all arms.
        workers: processes that collect; None for as many as there are cores.

    Raises:
        ConfigError: the work folder was begun with other sizes.
    """

    def __init__(
        self, work: Path, scale: Scale, games: Sequence[str], many: Sequence[str] = (), perceptual: bool = False
    ):
        self.sizes = {name: value for name, value in asdict(scale).items() if name not in ("about", "seeds")}
        super().__init__(work, self.sizes | {"perceptual": perceptual})
        self.scale, self.games, self.many = scale, list(games), list(many)
        self.perceptual = perceptual
        self.workers = 1 if scale.toy else None  # processes that collect; starting one takes longer than its play

    def play(
        self,
        game: str,
        name: str,
        *,
        frames: int,
        policy: str | Path = "random",
        seed: int = 0,
        random_share: float = 0.0,
    ) -> Path:
        """Recorded play of a game; the folder of the recording."""

        def make(folder: Path) -> Figures:
            report = collect(
                game,
                steps=frames,
                policy=str(policy),
                seed=seed,
                random_share=random_share,
                max_steps=self.scale.max_steps,
                out=folder / "data",
                workers=self.workers,
                progress=self.shown,
            )
            if report.interrupted:
                raise Stopped(name)
            return {"episodes": report.total_episodes, "steps": report.total_steps}

        return self.arm(f"{game}/play/{name}", make)[0] / "data"

    def agent(self, game: str, reward: str, *, steps: int, seed: int = 0) -> Path:
        """An agent trained on the game's own reward, or on one that needs no world model; its folder."""
        from genie_gym.sb3 import ExplorerConfig

        def make(folder: Path) -> Figures:
            report = explore(
                game,
                steps=steps,
                reward=reward,
                envs=self.scale.envs,
                seed=seed,
                max_steps=self.scale.max_steps,
                out=folder / "agent",
                progress=self.shown,
                config=ExplorerConfig(**self.scale.explorer),
            )
            if not report.finished:
                raise Stopped(f"{game}, agent on {reward}")
            return {"steps": report.steps, **report.figures}

        return self.arm(f"{game}/agents/{reward}-{seed}", make)[0] / "agent"

    def fit(
        self, name: str, data: Path, seed: int, *, latent: bool = False, like: Path | None = None, **dynamics: Any
    ) -> Path:
        """A world model of a recording; the folder of its checkpoint.

        Args:
            latent: with latent actions in place of the recorded ones (GenieRedux rather than GenieRedux-G).
            like: checkpoint of an arm on the same recording with the same seed, whose tokenizer this one has too.
            dynamics: replacements of the dynamics' fields.
        """

        def make(folder: Path) -> Figures:
            if like is not None:
                share_tokenizer(like.parent / "run", folder / "run")
            report = fit_world(
                Recording(data).header["game"]["name"],
                size=self.scale.preset,
                data=data,
                out=folder / "checkpoint",
                run=folder / "run",
                seed=seed,
                latent_actions=self.scale.codes if latent else 0,
                changes=self.scale.changes(**dynamics),
            )
            if report.dynamics is None or not report.finished:
                raise Stopped(name)
            return {"tokenizer": report.tokenizer.metrics, "dynamics": report.dynamics.metrics}

        return self.arm(f"{name}-{seed}", make)[0] / "checkpoint"

    def tuned(self, name: str, checkpoint: Path, data: Sequence[Path], seed: int, steps: int) -> Path:
        """A world model that went on with other recordings, each as often as the others; the checkpoint's folder."""

        def make(folder: Path) -> Figures:
            config = TuneConfig(self.scale.decoder_steps, steps, seed=seed)
            report = tune(Checkpoint.load(checkpoint), [Recording(place) for place in data], config, folder)
            if report.checkpoint is None or report.dynamics is None:
                raise Stopped(name)
            report.checkpoint.save(folder / "checkpoint")
            return {"decoder": report.decoder.metrics, "dynamics": report.dynamics.metrics}

        return self.arm(f"{name}-{seed}", make)[0] / "checkpoint"

    def score(self, name: str, checkpoint: Path, data: Path, buttons: Path | None = None) -> Figures:
        """What `evaluate` says of a world model on all of a recording; "next_frame" of a latent action model, too.

        Args:
            buttons: recording in which the buttons of a model of latent actions are found; it is then scored under
                the recorded actions rather than under those that it finds.
        """

        def make(folder: Path) -> Figures:
            loaded, recording = load_weights(str(checkpoint), "auto", "auto"), Recording(data)
            if buttons is not None:
                loaded.buttons = map_buttons(loaded, Recording(buttons))
            scale, everything = self.scale, np.arange(len(recording))
            figures = evaluate(
                loaded,
                recording,
                episodes=everything,
                clips=scale.clips,
                horizon=scale.horizon,
                sampling=SAMPLING,
                long_steps=0,
                perceptual=self.perceptual,
                buttons=buttons is not None,
                out=folder,
            )
            if loaded.model.latent_actions is not None:
                context = figures["settings"]["context"]
                figures["next_frame"] = next_frame_figures(
                    loaded.model.latent_actions, recording, context + scale.horizon, scale.clips
                )
            return figures

        return self.arm(name, make)[1]

    def merged(self, name: str, recordings: Sequence[Path]) -> Path:
        """Recordings of several games with the same actions as one, for a model of all of them."""
        if len(recordings) == 1:
            return recordings[0]

        def make(folder: Path) -> Figures:
            return merge([Recording(place) for place in recordings], folder / "data")

        return self.arm(name, make)[0] / "data"


def label(games: Sequence[str]) -> str:
    """What several games are called in a path: a single one by its name, more by their number and a digest."""
    if len(games) == 1:
        return games[0]
    return f"{len(games)}-games-{hashlib.blake2b(' '.join(sorted(games)).encode(), digest_size=3).hexdigest()}"


def share_tokenizer(source: Path, target: Path) -> None:
    """Copies the finished tokenizer of one fit's run to another run, which then takes it as it is."""
    place = target / "tokenizer"
    if place.exists():
        return
    aside = target / "tokenizer-copy"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source / "tokenizer", aside)
    aside.rename(place)


def merge(recordings: Sequence[Recording], folder: Path) -> Figures:
    """Writes the episodes of several games into one recording, each under its game's name; again where interrupted.

    Raises:
        ConfigError: the games have different actions.
    """
    games = [one.header["game"] for one in recordings]
    meanings = {tuple(one.header["actions"]) for one in recordings}
    if len(meanings) > 1:
        listed = "; ".join(f"{one.header['game']['name']}: {', '.join(one.header['actions'])}" for one in recordings)
        raise ConfigError(f"one model can learn only games with the same actions; these have others: {listed}")
    shutil.rmtree(folder, ignore_errors=True)
    game = games[0] | {"name": "Many-Own", "title": "Many", "system": "Own"}
    header = {"game": game, "actions": list(meanings.pop()), "frame_skip": recordings[0].header["frame_skip"]}
    with RecordingWriter(folder, header | {"games": [one["name"] for one in games]}) as writer:
        for one in recordings:
            for index, episode in enumerate(one.episodes()):
                own = f"{one.header['game']['name']}-{one.ids[index]}"
                writer.append(replace(episode, info={**episode.info, "id": own}))
    return {"games": [one["name"] for one in games], "episodes": sum(map(len, recordings))}
