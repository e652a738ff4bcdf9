"""The runs of the paper's tables: datasets, agents, world models and scores at one scale."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.evaluation import evaluate_model
from benchmarks.common.experiment import Experiment
from benchmarks.common.results import Figures
from benchmarks.paper.scales import Scale
from benchmarks.paper.scores import CONTEXT, SAMPLING, next_frame_figures
from genie_gym.data import EpisodeDataset, EpisodeWriter
from genie_gym.errors import ConfigError
from genie_gym.world_model.actions.fit_action_map import fit_action_map
from genie_gym.world_model.resolve import load_checkpoint

__all__ = ["EPSILON", "PaperExperiment", "label"]

EPSILON = 0.15  # share of random actions among an explorer's recorded ones, as in the paper's published code


class PaperExperiment(Experiment):
    """The runs of all tables at one scale.

    Args:
        work: Folder of all runs; it belongs to one scale.
        scale: Sizes of all runs.
        games: Canonical names of the games of the tables.
        many: Games that a model of many games is trained on first (the paper's 200); none by default.
        perceptual: Whether models are scored by FID too, for which Inception's weights must be at hand.

    Attributes:
        sizes: Sizes of all runs as plain values.

    Raises:
        ConfigError: The work folder was started with other sizes.
    """

    def __init__(
        self, work: Path, scale: Scale, games: Sequence[str], many: Sequence[str] = (), perceptual: bool = False
    ):
        self.sizes = {name: value for name, value in asdict(scale).items() if name not in ("about", "seeds")}
        # Starting a process takes longer than its toy episodes.
        super().__init__(work, self.sizes | {"perceptual": perceptual}, workers=1 if scale.toy else None)
        self.scale, self.games, self.many = scale, list(games), list(many)
        self.perceptual = perceptual

    def dataset(
        self, game: str, name: str, *, frames: int, seed: int, policy: str | Path = "random", epsilon: float = 0.0
    ) -> Path:
        """Record episodes of a game; return the folder of the dataset."""
        options: dict[str, Any] = {"steps": frames, "seed": seed, "epsilon": epsilon}
        return self.collect(f"{game}/datasets/{name}", game, policy, max_steps=self.scale.max_steps, **options)

    def agent(self, game: str, reward: str, *, steps: int, seed: int = 0) -> Path:
        """Train an agent on the game's own reward, or on one that needs no world model; return its folder."""
        return self.explore(
            f"{game}/agents/{reward}-{seed}",
            game,
            explorer=self.scale.explorer_config(),
            steps=steps,
            reward=reward,
            num_envs=self.scale.envs,
            seed=seed,
            max_steps=self.scale.max_steps,
        )[0]

    def model(
        self,
        name: str,
        data: Path,
        seed: int,
        *,
        latent: bool = False,
        tokenizer_from: Path | None = None,
        **dynamics: Any,
    ) -> Path:
        """Train a world model; return the folder of its checkpoint.

        Args:
            name: Name of the run, without the seed.
            data: Folder of the dataset.
            seed: Random seed.
            latent: Whether it has latent actions (GenieRedux) rather than the recorded ones (GenieRedux-G).
            tokenizer_from: Checkpoint of a model of the same dataset and seed, to share its tokenizer.
            dynamics: Fields of the dynamics' configuration to replace.
        """
        return self.train(
            f"{name}-{seed}",
            EpisodeDataset(data).header["game"]["name"],
            data,
            seed=seed,
            preset=self.scale.preset,
            preset_overrides=self.scale.preset_overrides(**dynamics),
            latent_actions=self.scale.codes if latent else 0,
            tokenizer_from=tokenizer_from,
        )

    def finetuned(self, name: str, checkpoint: Path, datasets: Sequence[Path], seed: int, steps: int) -> Path:
        """Finetune a world model on datasets; return the folder of its checkpoint."""
        decoder_steps = self.scale.decoder_steps
        return self.finetune(
            f"{name}-{seed}", checkpoint, datasets, decoder_steps=decoder_steps, dynamics_steps=steps, seed=seed
        )

    def score(self, name: str, checkpoint: Path, data: Path, map_actions_on: Path | None = None) -> Figures:
        """Evaluate a world model on a whole dataset; a latent action model's "next_frame" is scored, too.

        Args:
            name: Name of the run.
            checkpoint: Folder of the checkpoint.
            data: Folder of the dataset.
            map_actions_on: Dataset on which the action map of a model of latent actions is fitted; the model is then
                evaluated under the recorded actions rather than those it infers.
        """

        def execute(folder: Path) -> Figures:
            loaded, dataset = load_checkpoint(str(checkpoint), "auto", "auto"), EpisodeDataset(data)
            if map_actions_on is not None:
                loaded.action_map = fit_action_map(loaded, EpisodeDataset(map_actions_on))
            figures = evaluate_model(
                loaded,
                dataset,
                episodes=np.arange(len(dataset)),
                clips=self.scale.clips,
                context=CONTEXT,
                horizon=self.scale.horizon,
                sampling=SAMPLING,
                long_steps=0,
                perceptual=self.perceptual,
                real_actions=map_actions_on is not None,
                out=folder,
            ).to_dict()
            if loaded.model.latent_actions is not None:
                length = CONTEXT + self.scale.horizon
                figures["next_frame"] = next_frame_figures(
                    loaded.model.latent_actions, dataset, length, self.scale.clips
                )
            return figures

        return self.run(name, execute)[1]

    def merged(self, name: str, datasets: Sequence[Path]) -> Path:
        """Return one dataset of several games with the same actions, for a model of all of them."""
        if len(datasets) == 1:
            return datasets[0]
        return self.run(name, lambda folder: merge(list(map(EpisodeDataset, datasets)), folder / "data"))[0] / "data"


def label(games: Sequence[str]) -> str:
    """Return a name of several games for a path: that of a single one, else their number and a digest."""
    if len(games) == 1:
        return games[0]
    return f"{len(games)}-games-{hashlib.blake2b(' '.join(sorted(games)).encode(), digest_size=3).hexdigest()}"


def merge(datasets: Sequence[EpisodeDataset], folder: Path) -> Figures:
    """Write the episodes of several games into one dataset, each under its game's name; it starts anew each time.

    Raises:
        ConfigError: The games have different actions.
    """
    games = [dataset.header["game"] for dataset in datasets]
    meanings = {tuple(dataset.header["actions"]) for dataset in datasets}
    if len(meanings) > 1:
        listed = "; ".join(f"{one.header['game']['name']}: {', '.join(one.header['actions'])}" for one in datasets)
        raise ConfigError(f"one model can learn only games with the same actions; these have others: {listed}")
    shutil.rmtree(folder, ignore_errors=True)
    game = games[0] | {"name": "Many-Own", "title": "Many", "system": "Own"}
    header = {"game": game, "actions": list(meanings.pop()), "frame_skip": datasets[0].header["frame_skip"]}
    with EpisodeWriter(folder, header | {"games": [one["name"] for one in games]}) as writer:
        for dataset in datasets:
            for index, episode in enumerate(dataset.episodes()):
                own = f"{dataset.header['game']['name']}-{dataset.ids[index]}"
                writer.append(replace(episode, info={**episode.info, "id": own}))
    return {"games": [one["name"] for one in games], "episodes": sum(map(len, datasets))}
