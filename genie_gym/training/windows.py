"""What training takes from datasets: windows of usable lengths, and initial contexts for rollouts."""

import numpy as np
import torch
from einops import rearrange

from genie_gym.data import EpisodeDataset, SequenceDataset, split
from genie_gym.errors import DataError
from genie_gym.training.presets import Preset
from genie_gym.world_model.game import check_game_description

__all__ = [
    "CONTEXT",
    "NUM_CONTEXTS",
    "check_description",
    "check_frame_size",
    "check_steps",
    "draw_initial_contexts",
    "split_in_two",
    "usable_lengths",
]

NUM_CONTEXTS, CONTEXT = 64, 4  # initial contexts kept in a checkpoint, and frames in each


def draw_initial_contexts(
    dataset: EpisodeDataset, episodes: np.ndarray, seed: int, count: int = NUM_CONTEXTS, context: int = CONTEXT
) -> dict[str, torch.Tensor]:
    """Draw real clips from the training episodes, half of them from the very beginning of an episode.

    The others are the more varied one of two: a blank screen between levels is a poor place to begin a dream.

    Args:
        dataset: Where they come from.
        episodes: Indices of the training episodes.
        seed: Random seed.
        count: Number of clips.
        context: Frames in each.

    Returns:
        "frames" uint8 (count, context, s, s, 3) and "actions" int64 (count, context - 1).
    """
    rng = np.random.default_rng(seed)
    clips = SequenceDataset(dataset, context, episodes, include_terminal=False)
    anywhere = _more_varied(clips.sample(rng, 2 * (count // 2)))
    long_enough = [i for i in episodes if dataset.lengths[i] - dataset.steps(int(i))[2] >= context]
    first = [dataset[int(i)] for i in rng.choice(long_enough, count - count // 2)]
    frames = np.concatenate([anywhere["frames"], np.stack([e.frames[:context] for e in first])])
    actions = np.concatenate([anywhere["actions"], np.stack([e.actions[: context - 1] for e in first])])
    return {"frames": torch.from_numpy(frames), "actions": torch.from_numpy(actions)}


def _more_varied(clips: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of each two clips, the one whose last frame has more contrast."""
    contrast = rearrange(clips["frames"][:, -1].std((1, 2, 3)), "(n two) -> n two", two=2)
    chosen = np.arange(len(contrast)) * 2 + contrast.argmax(1)
    return {name: values[chosen] for name, values in clips.items()}


def usable_lengths(preset: Preset, longest: int) -> tuple[tuple[int, ...], int]:
    """Return the preset's clip lengths that fit into the longest episode, and the window they are cut from."""
    known = preset.dynamics_clip_lengths
    lengths = tuple(length for length in known if length <= longest) or known[:1]
    return lengths, max(lengths[0], min(max(lengths) + preset.dynamics_max_offset, longest))


def split_in_two(dataset: EpisodeDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of training and of held-out episodes, as `split` does, at least one of each.

    Raises:
        DataError: There is only one episode.
    """
    if len(dataset) < 2:
        raise DataError(
            f"{dataset.folder} holds a single episode, of {dataset.lengths[0]} frames, and one must be held out "
            "to validate with; record or convert some more (a video of 7 seconds or more becomes several episodes)"
        )
    return split(dataset)


def check_frame_size(dataset: EpisodeDataset, size: int) -> None:
    """Raise DataError if the frames of a dataset are not of the model's size in pixels."""
    shape = dataset.frames(0, 0, 1).shape[1:]
    if shape != (size, size, 3):
        raise DataError(
            f"{dataset.folder} has frames of shape {shape}, the model's are ({size}, {size}, 3); resize yours with "
            "genie_gym.utils.images.letterbox before they are recorded"
        )


def check_description(dataset: EpisodeDataset) -> None:
    """Raise DataError if recording.json does not describe a game as a checkpoint has to: its name is part of paths."""
    try:
        check_game_description(dataset.header["game"])
    except ValueError as error:
        raise DataError(f"recording.json in {dataset.folder} does not describe a game: {error}; mend it") from error


def check_steps(dataset: EpisodeDataset) -> None:
    """Raise DataError if an action is none of its game's, or a reward is not finite.

    Found later, they would cost the training before: the tokenizer reads frames alone.
    """
    check_description(dataset)
    number = len(dataset.header["game"]["actions"])
    for index, name in enumerate(dataset.ids):
        actions, rewards, _ = dataset.steps(index)
        wrong = actions[(actions < 0) | (actions >= number)]
        if dataset.has_actions and len(wrong):
            raise DataError(
                f"episode {name} in {dataset.folder} has the action {wrong[0]}, and its game has the actions 0 to "
                f"{number - 1}; remove that episode, or record it again with all of its actions in recording.json"
            )
        if not np.isfinite(rewards).all():
            step = int(np.flatnonzero(~np.isfinite(rewards))[0])
            raise DataError(
                f"episode {name} in {dataset.folder} has the reward {rewards[step]} at step {step}; remove that "
                "episode, or write it again with rewards that are finite"
            )
