"""Evaluation of a world model on episodes it was not trained on."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.actions import to_model_actions
from genie_gym.evaluation.clips import predict_clips
from genie_gym.evaluation.cluster import ClusterBatches
from genie_gym.evaluation.config import EvalConfig
from genie_gym.evaluation.long_horizon import long_rollouts
from genie_gym.evaluation.perceptual import PerceptualScore
from genie_gym.evaluation.results import EvalReport, EvalSettings
from genie_gym.evaluation.rewards import score_rewards
from genie_gym.evaluation.sprites import SpriteDetector, cut_sprite
from genie_gym.training.windows import split_in_two
from genie_gym.utils.atomic import atomic_write, check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.options import make_config
from genie_gym.world_model import Checkpoint, SamplingConfig
from genie_gym.world_model.resolve import load_given, resolve_dataset

__all__ = ["evaluate"]


@kept_global_state()
def evaluate(
    checkpoint: EvalConfig | Checkpoint | str | Path,
    dataset: EpisodeDataset | None = None,
    *,
    episodes: np.ndarray | None = None,
    sprite: SpriteDetector | None = None,
    **options: Any,
) -> EvalReport:
    """Evaluate a world model on held-out episodes; the same call gives the same figures, except for the speed.

    A latent action model is evaluated under the actions it infers from the episodes, which tell it something about the
    very frames to be predicted; `real_actions` evaluates it as a player would use it.

    Args:
        checkpoint: A loaded checkpoint, a game's name, a checkpoint folder, or the id of a model on the hub; or a whole
            configuration.
        dataset: Episodes of the same game; by default those of the option `data`.
        episodes: Indices of the episodes to use; by default the held-out side of `data.split`.
        sprite: Detector of the player; by default cut from the dataset if its game is known to `sprites`.
        options: Fields of `EvalConfig`, where no configuration is given.

    Raises:
        ConfigError: An option is out of range, the dataset has other actions than the model, or no action map is known.
        DataError: No episode is long enough, or the images cannot be written.
        CheckpointError: There is no such checkpoint, or the weights of LPIPS or FID are missing.
    """
    config = _configuration(checkpoint, options)
    use_threads(config.threads)
    if config.out is not None:
        check_writable(Path(config.out))
    device = config.device if config.ray is None else "cpu"  # which all nodes have
    loaded = load_given(checkpoint, config.checkpoint, device, config.game)
    dataset = resolve_dataset(loaded.game["name"], config.data) if dataset is None else dataset
    sampling = loaded.sampling.with_overrides(config)
    chosen = split_in_two(dataset)[1] if episodes is None else np.asarray(episodes)
    report = _evaluate(loaded, dataset, chosen, sprite or cut_sprite(dataset), sampling, config)
    if config.out is not None:
        atomic_write(Path(config.out) / "figures.json", json.dumps(report.to_dict(), indent=1).encode())
    return report


def _configuration(checkpoint: EvalConfig | Checkpoint | str | Path, options: dict[str, Any]) -> EvalConfig:
    if isinstance(checkpoint, EvalConfig):
        return make_config(EvalConfig, checkpoint, options)
    name = checkpoint.game["name"] if isinstance(checkpoint, Checkpoint) else str(checkpoint)
    return make_config(EvalConfig, None, {"checkpoint": name, **options})


def _evaluate(
    checkpoint: Checkpoint,
    dataset: EpisodeDataset,
    episodes: np.ndarray,
    sprite: SpriteDetector | None,
    sampling: SamplingConfig,
    config: EvalConfig,
) -> EvalReport:
    perceptual = PerceptualScore(checkpoint.model.device) if config.perceptual else None
    actions = to_model_actions(checkpoint, dataset, episodes, config.real_actions, config.seed)
    cluster: AbstractContextManager[ClusterBatches | None] = nullcontext()
    if config.ray is not None:
        cluster = ClusterBatches(config.ray)
    with cluster as run:
        clips = predict_clips(checkpoint, actions.dataset, episodes, sampling, config, run)
        controllability = clips.controllability(actions.choices, config.seed)
        single_pass_controllability = clips.controllability(actions.choices, config.seed, single_pass=True)
    long, rewards = None, None
    if config.long_steps:
        given, seed, out = (checkpoint, actions.dataset, episodes), config.seed, config.out
        rewards = score_rewards(*given, sampling=sampling, seed=seed)
        long = long_rollouts(*given, config.long_steps, config.num_rollouts, sampling, seed, sprite, out)
    return EvalReport(
        game=checkpoint.game["name"],
        settings=_settings(config, actions.mapped, sampling),
        reconstruction=clips.reconstruction_metrics(),
        prediction=clips.step_metrics(clips.predicted),
        single_pass=clips.step_metrics(clips.single_pass),
        repeat=clips.step_metrics(clips.repeated),
        controllability=controllability,
        single_pass_controllability=single_pass_controllability,
        speed=clips.speed,
        perceptual=clips.perceptual_metrics(perceptual) if perceptual else None,
        sprite=clips.sprite_metrics(sprite) if sprite else None,
        latent_actions=actions.agreement,
        long_horizon=long,
        rewards=rewards,
    )


def _settings(config: EvalConfig, real_actions: bool, sampling: SamplingConfig) -> EvalSettings:
    names = ("clips", "context", "horizon", "long_steps", "num_rollouts", "seed")
    return EvalSettings(**{name: getattr(config, name) for name in names}, real_actions=real_actions, sampling=sampling)
