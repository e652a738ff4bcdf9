"""Episodes that begin at savestates of earlier ones, for a vector of games: where they begin, and what is archived.

The archive chooses; here its states are taken from the games and put into them. Two wrappers, because an episode must
begin before anything outside records it, and its scores are known only outside of the reward.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from genie_gym.errors import GameError
from genie_gym.rewards.pipeline import RewardPipeline
from genie_gym.sb3.reward_wrappers import VecAutoExploreReward

__all__ = ["StateArchive", "VecArchivedStarts", "VecStateArchiver"]


class StateArchive(Protocol):
    """What the wrappers need of an archive, such as `genie_gym.exploration.frontier.FrontierArchive`."""

    def visit(self, frames: np.ndarray) -> None:
        """Count a visit to the cell of each frame uint8 (n, s, s, 3)."""

    def offer(self, frame: np.ndarray, score: float, take: Callable[[], Any]) -> None:
        """Take the score of a frame into account, and its state by calling `take` if it is to be kept."""

    def draw(self) -> Any | None:
        """Return the state at which an episode begins; None for the game's own start."""


class VecArchivedStarts(VecEnvWrapper):
    """Begin episodes where an archive says. Wrap it directly around the games.

    `infos[i]["archived_start"]` holds, where an episode has ended, whether the next one began at a savestate.

    Args:
        venv: Games from `make_game_vec_env`.
        archive: The archive.

    Raises:
        GameError: The games have no savestates.
    """

    def __init__(self, venv: VecEnv, archive: StateArchive):
        super().__init__(venv)
        self.archive = archive
        if not all(venv.env_method("has_savestates")):
            raise GameError(
                "Episodes can begin at savestates of stable-retro's games, of ale-py's and of the toy game; this one "
                "has none. Leave out frontier."
            )

    def reset(self):  # type: ignore[no-untyped-def]
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(frames, np.ndarray)
        for row in np.flatnonzero(dones):
            state = self.archive.draw()
            infos[row]["archived_start"] = state is not None
            if state is not None:
                frames[row] = self.venv.env_method("restore", state, indices=[int(row)])[0]
                self.archive.visit(frames[row][None])  # or all games would begin here until one comes back
        return frames, rewards, dones, infos


class VecStateArchiver(VecEnvWrapper):
    """Offer the states that AutoExplore scores to an archive. Wrap it around the reward.

    The scores are those of the world model, without habituation, centring and normalisation.

    Args:
        venv: Games with the reward, from `wrap_reward`.
        archive: The archive.
    """

    def __init__(self, venv: VecEnv, archive: StateArchive):
        super().__init__(venv)
        self.archive, self._pipeline = archive, _pipeline_of(venv)

    def reset(self):  # type: ignore[no-untyped-def]
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        frames, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(frames, np.ndarray)
        self.archive.visit(frames[~dones])
        scores = iter(self._pipeline.score.reward.tolist())
        for row in np.flatnonzero(self._pipeline.scored):
            score = next(scores)
            if not dones[row]:  # the game is at the start of another episode already
                self.archive.offer(frames[row], score, partial(self._snapshot, int(row)))
        return frames, rewards, dones, infos

    def _snapshot(self, row: int) -> Any:
        return self.venv.env_method("snapshot", indices=[row])[0]


def _pipeline_of(env: VecEnv) -> RewardPipeline:
    """Return the reward pipeline of the AutoExplore reward."""
    while not isinstance(env, VecAutoExploreReward):
        assert isinstance(env, VecEnvWrapper), "there is no AutoExplore reward"
        env = env.venv
    return env.reward_pipeline
