"""AutoExplore: the world model's uncertainty about a future frame (paper section 4, equations 2 to 4).

Shapes: N windows, c context frames, h predicted frames, n tokens per frame, k codes, s side of a frame in pixels.
"""

import torch
from einops import rearrange, repeat
from torch import Tensor

from genie_gym.errors import ConfigError
from genie_gym.models.maskgit import num_masked_after, unmask
from genie_gym.models.uncertainty import action_information, token_entropy, top_mean
from genie_gym.rewards.base import Score
from genie_gym.rewards.config import UNCERTAINTIES
from genie_gym.utils.compile import compile_frozen
from genie_gym.utils.images import to_model
from genie_gym.utils.precision import autocast
from genie_gym.world_model import WorldModel

__all__ = ["AutoExplore"]


class AutoExplore:
    """The exploration reward of the paper, in [0, 2].

    The model is given c frames and all actions, and predicts h frames in one pass. The reward of the last of them is
    the mean entropy of its most uncertain quarter of tokens. It does not depend on any real frame after the context,
    so the reward of a step is known before the step is taken.

    As in training clips with a masked past, the frames between context and prediction are masked in the input, which
    holds the actions that lead to them. The weights are frozen and no random number is drawn.

    Args:
        model: A trained world model.
        context: Number of context frames c. The model is trained to predict several frames ahead from 2 or more.
        horizon: Number of predicted frames h. The reward is that of the last.
        quantile: Tokens with an entropy at or above this quantile are averaged; see `top_mean`.
        sampling_steps: MaskGIT passes over the last frame. From 2 on, the most confident tokens are unmasked first,
            each as its likeliest code. The entropy of a token is that of the pass before it is unmasked.
        compile: Compile the scoring with torch. The first score of a larger number of windows takes a minute or two,
            later ones half the time (8 windows of `tiny-transformer` on two CPU cores with AMX). Smaller numbers are
            padded.
        uncertainty: "entropy" is the paper's. "action_information" is the entropy of the mean prediction over some
            actions, each held for all predicted frames, less the mean entropy: how much the action decides. The
            actions taken since the context do not matter then. "round_trip" is the share of the predicted tokens, each
            the likeliest, that change when the frame is decoded and encoded again; it lies in [0, 1] and is not
            averaged over a quantile.
        action_sample: Number of actions that "action_information" compares, evenly spaced among the model's.

    Raises:
        ConfigError: An option is out of range.
    """

    learns = False

    def __init__(
        self,
        model: WorldModel,
        context: int = 2,
        horizon: int = 3,
        quantile: float = 0.75,
        sampling_steps: int = 1,
        compile: bool = False,
        uncertainty: str = "entropy",
        action_sample: int = 4,
    ):
        window = model.dynamics.config.window
        tokens = model.dynamics.config.side**2
        if context < 1 or sampling_steps < 1:
            raise ConfigError(f"context and sampling_steps must be 1 or more; got {context} and {sampling_steps}")
        if sampling_steps > tokens:
            raise ConfigError(f"sampling_steps must be {tokens} or less, the tokens of a frame; got {sampling_steps}")
        if not 1 <= horizon < window:
            raise ConfigError(
                f"horizon must lie in 1 .. {window - 1}, within the model's attention window; got {horizon}"
            )
        if not 0 <= quantile <= 1:
            raise ConfigError(f"quantile must lie in [0, 1]; got {quantile}")
        if uncertainty not in UNCERTAINTIES or action_sample < 2:
            raise ConfigError(
                f"uncertainty must be one of {', '.join(UNCERTAINTIES)}, and action_sample 2 or more; got "
                f"{uncertainty!r} and {action_sample}"
            )
        self.model, self.context, self.window = model, context, context + horizon
        self.uncertainty, self.action_sample = uncertainty, action_sample
        self.horizon, self.quantile, self.sampling_steps = horizon, quantile, sampling_steps
        self._compiled = compile_frozen(self._measure, model.device, "scoring") if compile else None
        self._batch_size = 1  # the most windows that were scored together so far

    @torch.inference_mode()
    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Return the rewards of the frames that the windows lead to.

        Args:
            frames: Uint8 (N, c or more, s, s, 3), oldest first. Those after the c-th are ignored.
            actions: Int64 (N, c - 1 + h), the action taken at each frame of the window except the last.

        Returns:
            Reward float32 (N,) and map float32 (N, side, side), both in [0, 2], on the CPU.

        Raises:
            ConfigError: There are too few frames, or the number of actions is wrong.
        """
        if frames.shape[1] < self.context or actions.shape[1] != self.window - 1:
            raise ConfigError(
                f"a window is {self.context} frames and the {self.window - 1} actions since the first of them; got "
                f"{frames.shape[1]} frames and {actions.shape[1]} actions"
            )
        side, device = self.model.dynamics.config.side, self.model.device
        values = self._run(frames[:, : self.context].to(device), actions.to(device))
        grid = rearrange(values, "b (h w) -> b h w", h=side)
        reward = values.mean(-1) if self.uncertainty == "round_trip" else top_mean(values, self.quantile)
        return Score(reward.cpu(), grid.cpu())

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """Do nothing: the world model is trained by `genie-gym train`."""
        return {}

    def _run(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Return `_measure`. If compiled, pad to the largest batch so far, as every new batch size compiles again."""
        if self._compiled is None:
            return self._measure(frames, actions)
        count = len(frames)
        self._batch_size = max(self._batch_size, count)
        rows = torch.arange(self._batch_size, device=frames.device).clamp(max=count - 1)
        return self._compiled(frames[rows], actions[rows])[:count]

    def _measure(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Return the chosen uncertainty about each token of the last frame, float32 (N, n)."""
        if self.uncertainty == "action_information":
            return self._information(frames, actions)
        entropy, tokens = self._predict(frames, actions)
        return self._changed(tokens) if self.uncertainty == "round_trip" else entropy

    def _information(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Return how much each token of the last frame depends on the action, float32 (N, n)."""
        known = self.model.dynamics.config.num_actions
        sample = torch.linspace(0, known - 1, min(known, self.action_sample), device=frames.device).round().long()
        held = repeat(actions, "n t -> a n t", a=len(sample)).clone()
        held[:, :, self.context - 1 :] = sample[:, None, None]  # in all predicted frames, or its effect is hardly seen
        with autocast(self.model.dtype, self.model.device):
            context = repeat(self.model.tokenizer.encode(to_model(frames)), "n c p -> (a n) c p", a=len(sample))
            draft = torch.full_like(context[:, 0], self.model.dynamics.mask_token)
            logits = self._logits(context, draft, _leading_to(rearrange(held, "a n t -> (a n) t")))
        return action_information(rearrange(logits, "(a n) p k -> a n p k", a=len(sample)))

    def _changed(self, tokens: Tensor) -> Tensor:
        """Return which tokens (N, n) change when their frame is decoded and encoded again, as float32 (N, n)."""
        with autocast(self.model.dtype, self.model.device):
            frames = self.model.tokenizer.decode(tokens[:, None]).float().clamp(0, 1)
            return (self.model.tokenizer.encode(frames)[:, 0] != tokens).float()

    def _predict(self, frames: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last frame's entropy of each token, in the pass before it is unmasked, and its likeliest tokens.

        Returns:
            Float32 (N, n) and int64 (N, n).
        """
        with autocast(self.model.dtype, self.model.device):
            context = self.model.tokenizer.encode(to_model(frames))  # (N, c, n)
            prev_actions = _leading_to(actions)
            draft = torch.full_like(context[:, 0], self.model.dynamics.mask_token)
            logits = self._logits(context, draft, prev_actions)
            entropy = token_entropy(logits)
            masked = torch.ones_like(draft, dtype=torch.bool)
            for i in range(1, self.sampling_steps):
                draft, masked = self._unmask(logits, draft, masked, i)
                logits = self._logits(context, draft, prev_actions)
                entropy = torch.where(masked, token_entropy(logits), entropy)
        return entropy, torch.where(masked, logits.argmax(-1), draft)

    def _logits(self, context: Tensor, draft: Tensor, prev_actions: Tensor) -> Tensor:
        """Return the logits (N, n, k) of the last frame, given context tokens (N, c, n) and a draft of it (N, n)."""
        dynamics = self.model.dynamics
        between = torch.full_like(context[:, :1], dynamics.mask_token).expand(-1, self.horizon - 1, -1)
        features = dynamics.features(torch.cat([context, between], 1), draft[:, None], prev_actions)[:, -1]
        return dynamics.to_logits(features)

    def _unmask(self, logits: Tensor, draft: Tensor, masked: Tensor, passes: int) -> tuple[Tensor, Tensor]:
        """Unmask the most confident tokens of the draft after so many passes; return the draft and its mask."""
        confidence, codes = logits.float().softmax(-1).max(-1)
        filled = torch.where(masked, codes, draft)
        masked = unmask(confidence, masked, num_masked_after(passes - 1, self.sampling_steps, draft.shape[1]))
        return filled.masked_fill(masked, self.model.dynamics.mask_token), masked


def _leading_to(actions: Tensor) -> Tensor:
    """Return the action that leads to each frame, (N, w), for the actions (N, w - 1) of a window; -1 for the first."""
    return torch.cat([torch.full_like(actions[:, :1], -1), actions], 1)
