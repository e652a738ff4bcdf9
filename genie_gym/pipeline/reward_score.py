"""Does a dream pay what the game pays? Rewards of real play beside those dreamed under the same actions."""

from typing import Any

import numpy as np

from genie_gym.data import Clips, Recording
from genie_gym.pipeline.dreaming import TOGETHER, dream_steps
from genie_gym.world_model import Checkpoint, Sampling

__all__ = ["score_rewards"]

CONTEXT = 4  # real frames a dream starts from


def score_rewards(
    checkpoint: Checkpoint,
    recording: Recording,
    episodes: np.ndarray,
    steps: int = 60,
    clips: int = TOGETHER,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Sums of rewards over some steps, in the game's own unit.

    An agent trained in dreams does what dreams overpay. A model knows what a button pays only as it was pressed in the
    play that it learned from: compare on play of several policies.

    Args:
        episodes: of the recording: held-out ones.
        steps: at most; fewer where no episode is as long.
        clips: random pieces of them.

    Returns:
        Plain values: "steps"; mean over clips of the sums, "real" and "dreamed", with standard errors "real_error" and
        "dreamed_error"; "correlation" of the two over clips, nan where one of them never varies.
    """
    steps = min(steps, int(recording.lengths[episodes].max()) - CONTEXT)
    clip = Clips(recording, CONTEXT + steps, episodes).sample(np.random.default_rng(seed), clips)
    frames, actions = clip["frames"][:, :CONTEXT], clip["actions"]
    seeds = np.random.default_rng([seed, 1]).integers(2**63, size=clips)
    dreamed = np.zeros(clips)
    led, taken = actions[:, : CONTEXT - 1], actions[:, CONTEXT - 1 :]
    for outcome in dream_steps(checkpoint, frames, led, taken, seeds, sampling or checkpoint.sampling):
        dreamed += outcome.rewards.float().cpu().numpy()
    real = clip["rewards"][:, CONTEXT - 1 :].sum(1)
    varies = min(real.std(), dreamed.std()) > 0
    return {
        "steps": steps,
        **{name: float(sums.mean()) for name, sums in (("real", real), ("dreamed", dreamed))},
        **{f"{name}_error": _error(sums) for name, sums in (("real", real), ("dreamed", dreamed))},
        "correlation": float(np.corrcoef(real, dreamed)[0, 1]) if varies else float("nan"),
    }


def _error(sums: np.ndarray) -> float:
    return float(sums.std(ddof=1) / np.sqrt(len(sums))) if len(sums) > 1 else float("nan")
