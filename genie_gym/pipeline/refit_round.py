"""One round of a refit: explore, collect, tune, count places, score; each part is done once and noted."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data import Recording, split
from genie_gym.errors import DataError
from genie_gym.files import write_aside
from genie_gym.pipeline.collect import collect
from genie_gym.pipeline.explore import explore
from genie_gym.pipeline.refit_config import RefitConfig
from genie_gym.pipeline.refit_score import SCORE, count_places, score_models
from genie_gym.pipeline.rollout import episode_seed
from genie_gym.pipeline.settings import read_notes
from genie_gym.pipeline.tune import tune
from genie_gym.world_model import Checkpoint

__all__ = ["Round", "Stopped"]


class Stopped(Exception):
    """Ctrl-C; says during what."""


class Round:
    """The parts of one round, each noted in figures.json with what it found.

    Args:
        game: canonical name.
        run: folder of the refit; the round's is in it, beside those of the rounds before.
        number: from 1.
        config: what is done.
        old: recording that the model was fitted to.
        unseen: recording to test on, if any.
        options: "workers", "device", "progress", "explorer", as of `refit`.

    Attributes:
        figures: what each part found so far, by its name.
        checkpoint: folder of the tuned model, once there is one.
    """

    def __init__(
        self,
        game: str,
        run: Path,
        number: int,
        config: RefitConfig,
        old: Recording,
        unseen: Recording | None,
        options: dict[str, Any],
    ):
        self.game, self.run, self.number, self.config, self.options = game, run, number, config, options
        self.old, self.unseen = old, unseen
        self.folder = run / f"round-{number}"
        self.data, self.learning = self.folder / "data", self.folder / "learning"
        self.checkpoint = self.folder / "checkpoint"
        self.before = run / f"round-{number - 1}" / "checkpoint"
        # Far from those of other rounds, and of recordings made with seeds that people choose.
        self.seed = episode_seed(config.seed, number)
        self._notes = self.folder / "figures.json"
        self.figures: dict[str, Any] = read_notes(self._notes) if self._notes.exists() else {}

    def play(self) -> None:
        """Does what is not done yet; raises Stopped where that is interrupted."""
        if self.config.dream_steps:
            self._part("dream", self._dream)
        if self.config.trains:
            self._part("explore", self._explore)
        self._part("collect", self._collect)
        self._part("tune", self._tune)
        self._part("places", lambda: count_places([self.old.folder, self.data]))
        for place, (recording, episodes) in self._held_out().items():
            key = f"{SCORE}{place}"
            if self.figures.get(key, {}).get("recording") != str(recording.folder.absolute()):
                self.figures.pop(key, None)  # another test recording than last time
            self._part(key, partial(self._score, recording, episodes, place))

    def _part(self, name: str, work: Callable[[], dict[str, Any] | None]) -> None:
        """Does what is not done yet, and notes it; work that gives None was interrupted."""
        if name in self.figures:
            return
        print(f"round {self.number}: {name}", flush=True)
        started = time.monotonic()
        try:
            found = work()
        except KeyboardInterrupt:
            found = None
        if found is None:
            raise Stopped(f"round {self.number}, {name}")
        self.figures[name] = {"seconds": round(time.monotonic() - started, 1), **found}
        write_aside(self._notes, json.dumps(self.figures, indent=1).encode())

    def _dream(self) -> dict[str, Any] | None:
        return self._trained("dreamer", self.config.dream_steps, dream=True)

    def _explore(self) -> dict[str, Any] | None:
        first = self.folder / "dreamer" if self.config.dream_steps else None
        return self._trained("explorer", self.config.explore_steps, record=self.learning, begin_with=first)

    def _trained(self, name: str, steps: int, **how: Any) -> dict[str, Any] | None:
        """Trains an agent in that folder of the round."""
        report = explore(
            self.game,
            steps=steps,
            reward=self.config.data_from,
            checkpoint=self.before,
            every=self.config.every,
            envs=self.config.envs,
            seed=self.seed,
            max_steps=self.config.max_steps,
            out=self.folder / name,
            device=self.options["device"],
            progress=self.options["progress"],
            config=self.options["explorer"],
            **how,
        )
        return {"steps": report.steps, "seconds": report.seconds, **report.figures} if report.finished else None

    def _collect(self) -> dict[str, Any] | None:
        trains = self.config.trains
        report = collect(
            self.game,
            steps=self.config.frames,
            workers=self.options["workers"],
            out=self.data,
            seed=self.seed,
            policy=str(self.folder / "explorer") if trains else self.config.data_from,
            random_share=self.config.random_share if trains else 0.0,
            max_steps=self.config.max_steps,
            progress=self.options["progress"],
        )
        if report.interrupted:
            return None
        if report.total_episodes < 2:  # one to train on, one to hold out
            raise DataError(
                f"{self.config.frames} frames of {self.game} are a single episode, of which nothing can be held out; "
                "ask for more frames (--frames) or shorter episodes (--max-steps), in another folder (--run)"
            )
        return {"episodes": report.total_episodes, "steps": report.total_steps}

    def _tune(self) -> dict[str, Any] | None:
        earlier = (one for i in range(1, self.number) for one in self._recordings(self.run / f"round-{i}"))
        about = f"play from {self.config.data_from}"
        if self.config.trains:
            dreamed = f" after {self.figures['dream']['steps']} dreamed" if self.config.dream_steps else ""
            about += f" (agent trained for {self.figures['explore']['steps']} steps{dreamed})"
        config = replace(self.config.tune, seed=self.seed)
        new, old = self._recordings(self.folder), [self.old, *earlier]
        report = tune(Checkpoint.load(self.before), new, config, self.folder, old=old, about=about)
        if report.checkpoint is None or report.dynamics is None:
            return None
        report.checkpoint.save(self.checkpoint)
        seconds = report.decoder.seconds + report.dynamics.seconds
        return {"seconds": seconds, "decoder": report.decoder.metrics, "dynamics": report.dynamics.metrics}

    def _recordings(self, folder: Path) -> list[Recording]:
        """A round's play: what the explorer learned from, where there was one, and what was collected."""
        found = [Recording(folder / name) for name in (["learning"] if self.config.trains else []) + ["data"]]
        return [one for one in found if len(one) > 1]  # of a single episode nothing can be held out

    def _held_out(self) -> dict[str, tuple[Recording, np.ndarray]]:
        """Play that no model was trained on."""
        new = Recording(self.data)
        plays = {"new play": (new, split(new)[1]), "old play": (self.old, split(self.old)[1])}
        return plays if self.unseen is None else plays | {"test play": (self.unseen, np.arange(len(self.unseen)))}

    def _score(self, recording: Recording, episodes: np.ndarray, place: str) -> dict[str, Any]:
        figures = score_models(
            {"without": self.run / "round-0" / "checkpoint", "with": self.checkpoint},
            recording,
            episodes,
            clips=self.config.clips,
            seed=self.config.seed,
            device=self.options["device"],
            out=self.folder / "pictures" / place.replace(" ", "-"),
        )
        return figures | {"recording": str(recording.folder.absolute())}
