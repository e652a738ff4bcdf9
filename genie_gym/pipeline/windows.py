"""What fits cut out of recordings: windows of usable lengths, and pieces of play to begin dreams from."""

import numpy as np
import torch

from genie_gym.data import Clips, Recording, split
from genie_gym.errors import DataError
from genie_gym.fit import Preset

__all__ = ["CONTEXT", "STARTS", "draw_starts", "split_in_two", "usable_lengths"]

STARTS, CONTEXT = 64, 4  # pieces of real play kept in a checkpoint, and frames in each


def draw_starts(
    recording: Recording, episodes: np.ndarray, seed: int, count: int = STARTS, context: int = CONTEXT
) -> dict[str, torch.Tensor]:
    """Pieces of play from anywhere in the training episodes; half of them from an episode's very beginning.

    Returns:
        "frames" uint8 (count, context, s, s, 3) and "actions" int64 (count, context - 1).
    """
    rng = np.random.default_rng(seed)
    clips = Clips(recording, context, episodes, ends=False)
    anywhere = clips.sample(rng, count // 2)
    whole = [i for i in episodes if recording.lengths[i] - recording.steps(int(i))[2] >= context]
    begins = [recording[int(i)] for i in rng.choice(whole, count - count // 2)]
    frames = np.concatenate([anywhere["frames"], np.stack([e.frames[:context] for e in begins])])
    actions = np.concatenate([anywhere["actions"], np.stack([e.actions[: context - 1] for e in begins])])
    return {"frames": torch.from_numpy(frames), "actions": torch.from_numpy(actions)}


def usable_lengths(chosen: Preset, longest: int) -> tuple[tuple[int, ...], int]:
    """The preset's clip lengths that fit into the longest episode, and the window to cut them from."""
    lengths = tuple(length for length in chosen.clips_dynamics if length <= longest) or chosen.clips_dynamics[:1]
    return lengths, max(lengths[0], min(max(lengths) + chosen.offset, longest))


def split_in_two(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """As `split`, with an episode on either side.

    Raises:
        DataError: there is only one episode.
    """
    if len(recording) < 2:
        raise DataError(
            f"{recording.folder} holds a single episode, of {recording.lengths[0]} frames, and one must be held out "
            "to validate with; record or convert some more (a video of 7 seconds or more becomes several episodes)"
        )
    return split(recording)
