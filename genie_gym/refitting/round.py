"""One round of a refit: exploration, collection, finetuning, coverage and evaluation, each done once."""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genie_gym.collection.collect import collect
from genie_gym.collection.rollout import episode_seed
from genie_gym.data import EpisodeDataset, split
from genie_gym.errors import failing_softly
from genie_gym.exploration.config import ExploreConfig, FrontierOptions
from genie_gym.exploration.explore import explore
from genie_gym.refitting.config import RefitConfig
from genie_gym.refitting.results import AgentTraining, Collection, Comparison, Finetuning, RoundReport
from genie_gym.refitting.score import count_coverage, score_models
from genie_gym.training.config import FinetuneConfig
from genie_gym.training.finetune import finetune_checkpoint
from genie_gym.utils.options import EnvOptions, FinetuneOptions
from genie_gym.world_model import Checkpoint

if TYPE_CHECKING:  # loads Stable-Baselines3
    from genie_gym.sb3 import ExplorerConfig

__all__ = ["Round", "Stopped"]


class Stopped(BaseException):  # as KeyboardInterrupt, no error
    """The refit was interrupted; the message names the part."""


class Round:
    """One round, whose folder holds everything it writes.

    The folder has: imagined/ (the agent after pretraining in imagination), explorer/ (the trained agent),
    explorer_data/ (the episodes of its training), data/ (the collected episodes), decoder/ and dynamics/ (states of
    the finetuning), checkpoint/ (the finetuned model), images/ (predictions) and figures.json (the results so far).

    Args:
        config: Settings of the refit, with the canonical name of the game.
        run: Folder of the refit; each round has a folder in it.
        number: Number of the round, from 1.
        old: Dataset that the model was trained on.
        test: Dataset to evaluate on, if any.
        progress: Whether to show how far it is.
        explorer: Hyper-parameters of the agent.

    Attributes:
        report: Results so far.
        checkpoint: Folder of the finetuned model, once it exists.
    """

    def __init__(
        self,
        config: RefitConfig,
        run: Path,
        number: int,
        *,
        old: EpisodeDataset,
        test: EpisodeDataset | None = None,
        progress: bool = True,
        explorer: "ExplorerConfig | None" = None,
    ):
        self.config, self.number, self.old, self.test = config, number, old, test
        self._run, self._progress, self._explorer = run, progress, explorer
        self.folder = run / f"round-{number}"
        self.data, self.explorer_data = self.folder / "data", self.folder / "explorer_data"
        self.checkpoint = self.folder / "checkpoint"
        self._previous = run / f"round-{number - 1}" / "checkpoint"
        # Far from the seeds of other rounds and from those that people choose for their datasets.
        self.seed = episode_seed(config.seed, number)
        self._file = self.folder / "figures.json"
        self.report = RoundReport.load(self._file)

    def run(self) -> None:
        """Do all parts that are not done yet.

        Raises:
            Stopped: A part was interrupted. It is resumed by the next call.
        """
        if self.config.imagined_steps:
            self._do("imagined", self._pretrain)
        if self.config.trains_agent:
            self._do("exploration", self._explore)
        self._do("collection", self._collect)
        self._do("finetuning", self._finetune)
        self._do("coverage", lambda: count_coverage([self.old.folder, self.data]))
        for name, (dataset, episodes) in self._held_out().items():
            known = self.report.scores.get(name)
            if known is None or known.dataset != str(dataset.folder.absolute()):  # else another test set than before
                with failing_softly(f"the scores of round {self.number} on {name} episodes"):
                    result = self._attempt(f"scores on {name} episodes", partial(self._score, name, dataset, episodes))
                    self._save(scores={**self.report.scores, name: result})

    def _do(self, part: str, work: Callable[[], Any]) -> None:
        if getattr(self.report, part) is None:
            self._save(**{part: self._attempt(part, work)})

    def _attempt(self, title: str, work: Callable[[], Any]) -> Any:
        """The result of the work; None stands for an interruption."""
        print(f"round {self.number}: {title}", flush=True)
        try:
            result = work()
        except KeyboardInterrupt:
            result = None
        if result is None:
            raise Stopped(f"round {self.number}, {title}")
        return result

    def _save(self, **parts: Any) -> None:
        self.report = replace(self.report, **parts)
        self.report.save(self._file)

    def _pretrain(self) -> AgentTraining | None:
        return self._train_agent("imagined", steps=self.config.imagined_steps, imagined=True)

    def _explore(self) -> AgentTraining | None:
        first = str(self.folder / "imagined") if self.config.imagined_steps else None
        return self._train_agent(
            "explorer", steps=self.config.explore_steps, record=self.explorer_data, init_from=first
        )

    def _train_agent(self, name: str, **options: Any) -> AgentTraining | None:
        """Train an agent in that folder of the round; None if interrupted."""
        config = ExploreConfig(
            self.config.game,
            reward=self.config.policy_source,
            checkpoint=str(self._previous),
            score_interval=self.config.score_interval,
            num_envs=self.config.num_envs,
            seed=self.seed,
            max_steps=self.config.max_steps,
            out=self.folder / name,
            device=self.config.device,
            **({} if options.get("imagined") else self._env_options() | self._frontier_options()),
            **options,
        )
        report = explore(config, progress=self._progress, explorer=self._explorer)
        return AgentTraining.of(report) if report.finished else None

    def _env_options(self) -> dict[str, Any]:
        """Where the environment of an own game comes from."""
        return {field.name: getattr(self.config, field.name) for field in fields(EnvOptions)}

    def _frontier_options(self) -> dict[str, Any]:
        """How the reward and the starts of the agent's episodes differ from the paper's."""
        return {field.name: getattr(self.config, field.name) for field in fields(FrontierOptions)}

    def _collect(self) -> Collection | None:
        config, started = self.config, time.monotonic()
        options: dict[str, Any] = self._env_options() | {
            "workers": config.workers,
            "out": self.data,
            "seed": self.seed,
            "policy": str(self.folder / "explorer") if config.trains_agent else config.policy_source,
            "epsilon": config.epsilon if config.trains_agent else 0.0,
            "max_steps": config.max_steps,
            "progress": self._progress,
        }
        report = collect(config.game, steps=config.frames, **options)
        if report.total_episodes < 2 and not report.interrupted:  # one to train on, one to hold out
            report = collect(config.game, episodes=2, **options)
        if report.interrupted:
            return None
        return Collection(round(time.monotonic() - started, 1), report.total_episodes, report.total_steps)

    def _finetune(self) -> Finetuning | None:
        config = self.config
        options = {field.name: getattr(config, field.name) for field in fields(FinetuneOptions)}
        recipe = FinetuneConfig(**options, seed=self.seed)
        earlier = (one for i in range(1, self.number) for one in self._datasets(self._run / f"round-{i}"))
        new, old = self._datasets(self.folder), [self.old, *earlier]
        base, source = Checkpoint.load(self._previous), self._policy_description()
        report = finetune_checkpoint(base, new, recipe, self.folder, old=old, source=source)
        if report.checkpoint is None or report.dynamics is None:
            return None
        report.checkpoint.save(self.checkpoint)
        seconds = report.decoder.seconds + report.dynamics.seconds
        return Finetuning(seconds, report.decoder.metrics, report.dynamics.metrics)

    def _policy_description(self) -> str:
        """Where the new episodes come from, for the metadata of the checkpoint."""
        text, trained, imagined = f"policy {self.config.policy_source}", self.report.exploration, self.report.imagined
        if trained is None:
            return text
        pretrained = f" after {imagined.steps} in imagination" if imagined else ""
        return f"{text} (agent trained for {trained.steps} steps{pretrained})"

    def _datasets(self, folder: Path) -> list[EpisodeDataset]:
        """The new episodes of a round: those of the agent's training, if any, and the collected ones."""
        names = ("explorer_data", "data") if self.config.trains_agent else ("data",)
        found = [EpisodeDataset(folder / name) for name in names]
        return [one for one in found if len(one) > 1]  # of a single episode nothing can be held out

    def _held_out(self) -> dict[str, tuple[EpisodeDataset, np.ndarray]]:
        """Datasets with the episodes that no model was trained on."""
        new = EpisodeDataset(self.data)
        found = {"new": (new, split(new)[1]), "old": (self.old, split(self.old)[1])}
        return found if self.test is None else found | {"test": (self.test, np.arange(len(self.test)))}

    def _score(self, name: str, dataset: EpisodeDataset, episodes: np.ndarray) -> Comparison:
        started = time.monotonic()
        models = {"base": self._run / "round-0" / "checkpoint", "refitted": self.checkpoint}
        scores = score_models(
            models,
            dataset,
            episodes,
            clips=self.config.clips,
            seed=self.config.seed,
            device=self.config.device,
            out=self.folder / "images" / name,
        )
        return Comparison(round(time.monotonic() - started, 1), str(dataset.folder.absolute()), **scores)
