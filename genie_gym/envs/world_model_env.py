"""WorldModelEnv: one dream as a `gymnasium.Env`."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.envs.dreams import Dreams
from genie_gym.envs.prompt import read_prompt
from genie_gym.errors import ConfigError
from genie_gym.frames import enlarge

__all__ = ["WorldModelEnv"]


class WorldModelEnv(gym.Env[np.ndarray, np.int64]):
    """A learned game: the world model draws each next frame, its heads give reward and end.

    Observations are uint8 (64, 64, 3), or (256, 256, 3) with `upscale`, actions those of the real game's reduced set.
    A dream starts from a piece of real play that the checkpoint keeps, or from your own pictures:

        env.reset(options={"prompt": frames, "prompt_actions": actions})

    `prompt` is uint8 (h, w, 3) or (c, h, w, 3), any size; `prompt_actions` are the c - 1 actions between them and may
    be left out. A dream has no length limit other than the `max_episode_steps` given to `gymnasium.make`. The reward
    is the expected reward of the real game, in its unit; `info["end_probability"]` is what an end was drawn with.

    With `reward="autoexplore"` a step is paid how unsure the model was of the frame it drew, from 0 to 2, which costs
    next to nothing here: the mean entropy of the most uncertain quarter of the frame's tokens (paper section 4,
    equations 2 to 4), one frame ahead of the dream rather than three ahead of two real frames. Each token counts with
    the entropy it had when it was drawn. `info["game_reward"]` always holds the game's reward.

    Args:
        game: name of a game; its weights are looked for in the user's folder, then in the package.
        checkpoint: a checkpoint folder or the id of a model on the Hugging Face hub; overrules `game`.
        device: "auto", "cpu", "cuda" ...
        precision: "auto", "float32" or "bfloat16".
        compile: lets torch compile the step: slow at first, then faster; see WorldModel.compile_step.
        sampling_steps: passes a frame.
        temperature: 0 takes the likeliest token, 1 samples as the model believes.
        order: "confidence" or "random", which tokens are settled first.
        floor: tokens less likely than this share of the likeliest are never drawn.
        context: real frames a dream starts from.
        ends: False lets a dream go on where the game would have ended.
        reward: "game" or "autoexplore".
        upscale: give observations, and render, as the checkpoint's upscaler draws them, four times as high and wide.
            What the model dreams of, and prompts, keep their size.
        buttons: for a world of latent actions, takes the real game's actions; `genie-gym map-buttons` must have found
            which latent action each of them is.
        render_mode: None or "rgb_array" (uint8, 256x256x3); "human" and lists come from `gymnasium.make`.

    Raises:
        CheckpointError, GameError, ConfigError: see the message.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        game: str | None = None,
        checkpoint: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        sampling_steps: int | None = None,
        temperature: float | None = None,
        order: str | None = None,
        floor: float | None = None,
        context: int | None = None,
        ends: bool = True,
        reward: str = "game",
        upscale: bool = False,
        buttons: bool = False,
        render_mode: str | None = None,
    ):
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode must be None or 'rgb_array'; got {render_mode!r}")
        self.render_mode = render_mode
        self._dreams = Dreams(
            1,
            game,
            checkpoint,
            device=device,
            precision=precision,
            compile=compile,
            sampling_steps=sampling_steps,
            temperature=temperature,
            order=order,
            floor=floor,
            context=context,
            ends=ends,
            reward=reward,
            upscale=upscale,
            buttons=buttons,
        )
        spec, size = self._dreams.game, self._dreams.scale * self._dreams.size
        self.metadata = {
            **self.metadata,
            "render_fps": round(spec.fps),
        }  # gymnasium.utils.play takes whole numbers only
        self.observation_space = gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(spec.actions))
        self._frame: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a dream; see the class for `options`.

        Raises:
            PromptError: the prompt has the wrong shape, type or range.
        """
        super().reset(seed=seed)
        prompt = read_prompt(options, self._dreams.size, len(self._dreams.game.actions))
        self._frame = self._dreams.begin([0], [self.np_random], [prompt])[0].cpu().numpy()
        return self._frame.copy(), {"end_probability": 0.0, "game_reward": 0.0}

    def step(self, action: np.int64 | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes an action; truncated is always False.

        Raises:
            InvalidActionError: the action lies outside the action space.
        """
        outcome = self._dreams.step(np.asarray(action).reshape(-1))
        self._frame = outcome.frames[0].cpu().numpy()
        info = {"end_probability": float(outcome.ends[0]), "game_reward": float(outcome.rewards[0])}
        return self._frame.copy(), float(self._dreams.paid(outcome)[0]), bool(outcome.ended[0]), False, info

    def render(self) -> np.ndarray | None:
        """The current frame, enlarged if not upscaled: uint8 (256, 256, 3); None without a render mode."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a render mode: gym.make(..., render_mode="rgb_array")')
            return None
        if self._frame is None:
            raise gym.error.ResetNeeded("call reset() before render()")
        return enlarge(self._frame, self._dreams.zoom)

    def get_action_meanings(self) -> list[str]:
        """Names of the actions, in order."""
        return self._dreams.game.meanings

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Pressed keys to action, as `gymnasium.utils.play` wants it."""
        return self._dreams.game.keys_to_action()
