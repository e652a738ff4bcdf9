"""Making a study: the models' clips of held-out episodes, written to its file once.

Shapes: n clips, t frames of a clip, s side of a frame in pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.errors import ConfigError, DataError
from genie_gym.evaluation.actions import to_model_actions
from genie_gym.evaluation.rollouts import rollout
from genie_gym.metrics.image import Frames, psnr
from genie_gym.studies.config import StudyConfig
from genie_gym.studies.starts import starting_frames
from genie_gym.studies.store import REAL, Facts, Plan, Sample, StudyFile
from genie_gym.training.windows import check_frame_size, split_in_two
from genie_gym.utils.atomic import check_writable
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.batched import decode_clips, encode_clips
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint, resolve_dataset

__all__ = ["make_study"]

ACTIONS = 3  # of a study to choose from, as in the paper


@dataclass(frozen=True)
class Compared:
    """A model of a study.

    Attributes:
        label: Its name in the results.
        checkpoint: The model.
        dataset: Episodes of its game.
        held_out: Indices of those to show.
    """

    label: str
    checkpoint: Checkpoint
    dataset: EpisodeDataset
    held_out: np.ndarray

    @property
    def game(self) -> str:
        """Name of its game."""
        return str(self.checkpoint.game["name"])


@kept_global_state()
def make_study(config: StudyConfig, settings: dict[str, Any]) -> StudyFile:
    """Make a study and write its file; that takes a minute or so.

    Args:
        config: What it compares.
        settings: The same as JSON values, to be kept in the file.

    Raises:
        ConfigError: Models cannot be compared as asked for.
        CheckpointError: There is no such model.
        DataError: There are no episodes, or the file cannot be written.
        GameError: There is no such game.
    """
    check_writable(config.file.absolute().parent)
    use_threads(config.threads)
    models = list(_load(config))
    samples = list(_pairs_to_rate(config, models) if config.kind == "rate" else _pairs_to_choose(config, models))
    fps = float(models[0].checkpoint.game["fps"])
    return StudyFile.write(config.file, Plan(config.kind, config.seed, fps, config.frames, settings), samples)


def _load(config: StudyConfig) -> Iterator[Compared]:
    """Load the models with the datasets of their games."""
    given = {str(one.header["game"].get("name")): one for one in map(EpisodeDataset, config.data)}
    for number, name in enumerate(config.models):
        place = resolve_checkpoint(name)
        checkpoint = load_checkpoint(place, config.device)
        game = checkpoint.game["name"]
        dataset = given[game] if game in given else resolve_dataset(game)
        check_frame_size(dataset, checkpoint.model.tokenizer.config.size)
        held_out = split_in_two(dataset)[1]
        actions = to_model_actions(checkpoint, dataset, held_out, real_actions=False, seed=config.seed)
        label = config.labels[number] if config.labels else Path(place.removeprefix("hub:")).name
        yield Compared(label, checkpoint, actions.dataset, held_out)


# -- Pairs to rate -------------------------------------------------------------------------------------------------


def _pairs_to_rate(config: StudyConfig, models: list[Compared]) -> Iterator[Sample]:
    """Each game's clips beside what each of its models makes of them, and beside themselves."""
    by_game: dict[str, list[Compared]] = {}
    for model in models:
        by_game.setdefault(model.game, []).append(model)
        if model.label == REAL or [one.label for one in by_game[model.game]].count(model.label) > 1:
            raise ConfigError(f"{model.label} cannot stand for this model of {model.game} too; name them with --labels")
    groups = len(models) + len(by_game)  # each game has pairs of two real clips besides
    if config.count < groups:
        raise ConfigError(f"{groups} groups of pairs need as many samples or more; got {config.count}")
    shares = iter(_shares(config.count, groups))
    for game, own in by_game.items():
        most = -(-config.count // groups)
        clips = _clips(config, own[0], most)
        for source in (*own, None):
            count = next(shares)
            shown = clips[:count] if source is None else _shown_by(config, source, most)[:count]
            scores = None if source is None else psnr(shown, clips[:count])[:, _judged(config) :].mean(1)
            for scene in range(count):
                score = None if scores is None else float(scores[scene])
                facts = Facts(game, REAL, REAL if source is None else source.label, scene, psnr=score)
                yield Sample(facts, clips[scene], shown[scene])


def _shares(whole: int, parts: int) -> list[int]:
    return [whole // parts + (number < whole % parts) for number in range(parts)]


def _judged(config: StudyConfig) -> int:
    """The first frame that a model draws."""
    return config.context if config.shown == "dream" else 0


def _windows(config: StudyConfig, model: Compared, count: int) -> dict[str, np.ndarray]:
    """The same windows for each model of a game, whose actions may be other ones."""
    longest = int(model.dataset.lengths[model.held_out].max(initial=0))
    if longest < config.frames:
        raise DataError(
            f"clips have {config.frames} frames, and the longest held-out episode in {model.dataset.folder} has "
            f"{longest}; give --frames {longest}, or record longer ones"
        )
    windows = SequenceDataset(model.dataset, config.frames, model.held_out)
    return windows.sample(np.random.default_rng(config.seed), count)


def _clips(config: StudyConfig, model: Compared, count: int) -> Frames:
    return _windows(config, model, count)["frames"]


def _shown_by(config: StudyConfig, model: Compared, count: int) -> Frames:
    """What a model makes of real clips: uint8 (n, t, s, s, 3)."""
    batch = _windows(config, model, count)
    if config.shown == "reconstruction":
        return decode_clips(model.checkpoint.model, encode_clips(model.checkpoint.model, batch["frames"]))
    real, actions = batch["frames"][:, : config.context], batch["actions"]
    return _dreams(model, real, actions, config.seed)


def _dreams(model: Compared, real: Frames, actions: np.ndarray, seed: int) -> Frames:
    """Real frames (n, c, s, s, 3), and what a model dreams after them under actions (n, t - 1) from the first on."""
    context, seeds = real.shape[1], np.random.default_rng(seed).integers(2**63, size=len(real))
    before, after = actions[:, : context - 1], actions[:, context - 1 :]
    dreamt = rollout(model.checkpoint, real, before, after, seeds, model.checkpoint.sampling)
    return np.concatenate([real, dreamt], 1)


# -- Pairs to choose from ------------------------------------------------------------------------------------------


def _pairs_to_choose(config: StudyConfig, models: list[Compared]) -> Iterator[Sample]:
    """Single frames, each with some actions held from there on, as two models dream it with the same random numbers."""
    first, second = models
    if first.game != second.game:
        raise ConfigError(f"choose compares two models of one game; got {first.game} and {second.game}")
    if first.label == second.label:
        raise ConfigError(f"both models are called {first.label}; name them with --labels")
    names = config.actions or _effective(first.checkpoint)[:ACTIONS]
    frames = -(-config.count // len(names))
    starts = starting_frames(first.dataset, first.held_out, config, frames)
    start = np.repeat(np.arange(frames), len(names))[: config.count] % len(starts)
    named = (names * frames)[: config.count]
    clips = []
    for model in models:
        held = np.array([_code(model.checkpoint, name) for name in named])
        actions = np.repeat(held[:, None], config.frames - 1, 1)
        clips.append(_dreams(model, starts[start][:, None], actions, config.seed + 1))
    for number in range(config.count):
        facts = Facts(first.game, first.label, second.label, int(start[number]), named[number])
        yield Sample(facts, clips[0][number], clips[1][number])


def _meanings(checkpoint: Checkpoint) -> list[str]:
    """Names of the game's own actions, also of a model of latent ones."""
    if checkpoint.model.latent_actions is None:
        return [action["meaning"] for action in checkpoint.game["actions"]]
    return [action["meaning"] for action in checkpoint.require_action_map().actions]


def _effective(checkpoint: Checkpoint) -> tuple[str, ...]:
    return tuple(name for name in _meanings(checkpoint) if name != "NOOP")


def _code(checkpoint: Checkpoint, name: str) -> int:
    """The model's number of an action."""
    known = _meanings(checkpoint)
    if name not in known:
        raise ConfigError(f"{checkpoint.game['name']} has no action {name!r:.40}; choose of {', '.join(known)}")
    index = known.index(name)
    return index if checkpoint.model.latent_actions is None else int(checkpoint.require_action_map().codes[index])
