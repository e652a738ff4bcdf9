"""Imagined environments as a TorchRL EnvBase."""

from pathlib import Path
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Binary, Bounded, Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

from genie_gym.envs.config import WorldModelEnvConfig
from genie_gym.envs.vector_env import WorldModelVectorEnv

__all__ = ["TorchRLWorldModelEnv"]


class TorchRLWorldModelEnv(EnvBase):
    """N imagined environments in one forward pass, with a batch size of (N,); everything stays on the model's device.

        env = TorchRLWorldModelEnv("Airstriker", num_envs=16, max_episode_steps=200)
        rollout = env.rollout(100, break_when_any_done=False)

    "pixels" are uint8 (N, s, s, 3), "action" int64 (N,), "reward" float32 (N, 1), "done", "terminated" and "truncated"
    bool (N, 1). "termination_prob" and "game_reward", float32 (N, 1), come with each frame. TorchRL resets the episodes
    that ended, and only those.

    Args:
        game: Name of a game, see WorldModelEnvConfig.
        num_envs: Number of environments N.
        checkpoint: Checkpoint, see WorldModelEnvConfig.
        config: All options in one object, in place of keyword options.
        max_episode_steps: Length after which episodes are truncated; None for no limit.
        options: Fields of WorldModelEnvConfig by name, where each is described.

    Attributes:
        vector_env: The WorldModelVectorEnv, whose states and branches are there as before.

    Raises:
        CheckpointError, GameError, ConfigError: See the message.
    """

    def __init__(
        self,
        game: str | None = None,
        num_envs: int = 16,
        checkpoint: str | Path | None = None,
        *,
        config: WorldModelEnvConfig | None = None,
        max_episode_steps: int | None = None,
        **options: Any,
    ):
        vector_env = WorldModelVectorEnv(
            num_envs,
            game,
            checkpoint,
            config=config,
            max_episode_steps=max_episode_steps,
            autoreset_mode=AutoresetMode.DISABLED,
            tensors=True,
            **options,
        )
        n = vector_env.num_envs
        super().__init__(device=vector_env._engine.model.device, batch_size=(n,))
        self.vector_env = vector_env
        self._next_seed: int | None = None
        pixels = Bounded(0, 255, (n, *vector_env.single_observation_space.shape), dtype=torch.uint8)  # type: ignore[misc]
        numbers = {name: Unbounded((n, 1), dtype=torch.float32) for name in ("termination_prob", "game_reward")}
        self.observation_spec = Composite(pixels=pixels, **numbers, shape=(n,)).to(self.device)
        actions = int(vector_env.single_action_space.n)  # type: ignore[attr-defined]
        self.action_spec = Categorical(actions, (n,), dtype=torch.int64).to(self.device)
        self.reward_spec = Unbounded((n, 1), dtype=torch.float32).to(self.device)
        flags = {name: Binary(1, (n, 1), dtype=torch.bool) for name in ("done", "terminated", "truncated")}
        self.done_spec = Composite(**flags, shape=(n,)).to(self.device)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """End all episodes; the environments cannot be used afterwards."""
        self.vector_env.close()
        super().close(raise_if_closed=raise_if_closed)

    def _reset(self, tensordict: TensorDictBase | None, **options: Any) -> TensorDict:
        """Start the episodes that the entry "_reset" names, all by default."""
        mask = None if tensordict is None else tensordict.get("_reset", None)
        if mask is not None and not mask.all():
            options["reset_mask"] = mask.reshape(self.batch_size).cpu().numpy()
        seed, self._next_seed = self._next_seed, None
        frames, infos = self.vector_env.reset(seed=seed, options=options)
        no = torch.zeros(*self.batch_size, 1, dtype=torch.bool, device=self.device)
        return self._as_dict(frames, infos, {"terminated": no, "truncated": no.clone()})

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        frames, rewards, terminated, truncated, infos = self.vector_env.step(tensordict["action"])
        flags = {"terminated": terminated[:, None], "truncated": truncated[:, None]}
        result = self._as_dict(frames, infos, flags)
        result["reward"] = rewards[:, None]
        return result

    def _set_seed(self, seed: int | None) -> None:
        """Let the next reset give rollout i the seed `seed` + i."""
        self._next_seed = seed

    def _as_dict(self, frames: Any, infos: dict[str, Any], flags: dict[str, torch.Tensor]) -> TensorDict:
        names = ("termination_prob", "game_reward")
        numbers = {name: torch.from_numpy(infos[name])[:, None].to(self.device) for name in names}
        done = flags["terminated"] | flags["truncated"]
        return TensorDict({"pixels": frames, **numbers, **flags, "done": done}, self.batch_size, device=self.device)
