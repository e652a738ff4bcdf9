"""AutoExplore: how unsure the world model is of what it sees next (paper section 4, equations 2 to 4).

Shapes: N windows, c context frames, h frames predicted, n tokens a frame, k codes, s side of a frame in pixels.
"""

import torch
from einops import rearrange
from torch import Tensor

from genie_gym.errors import ConfigError
from genie_gym.frames import to_model
from genie_gym.models.maskgit import masked_after, settle
from genie_gym.models.uncertainty import token_entropy, top_mean
from genie_gym.precision import autocast
from genie_gym.rewards.score import Score
from genie_gym.world_model import WorldModel
from genie_gym.world_model.compiling import compiled

__all__ = ["AutoExplore"]


class AutoExplore:
    """The paper's exploration reward, in [0, 2].

    The model is given c frames and all actions, and predicts h frames in one pass; the reward of the last of them is
    the mean entropy of its most uncertain quarter of tokens. Neither that frame nor the others after the context are
    looked at, so a step's reward is known before the step is done.

    As in training's clips with a hidden past, the frames between context and prediction are in the input, hidden,
    with the actions that led to them. Weights are frozen; no random number is drawn.

    Args:
        model: a trained world model.
        context: c, frames shown. The model was trained to predict several frames ahead from 2 or more.
        horizon: h, frames predicted; the reward is that of the last.
        quantile: which tokens count, see `top_mean`.
        steps: MaskGIT passes over the last frame. From 2 on the surest tokens are settled first, each at its likeliest
            code, and the entropy of a token is the one it had in the pass that settled it.
        compile: lets torch compile the scoring, which takes a minute or two at the first score of so many windows, and
            then half the time: measured with 8 windows of `tiny` on two CPU cores with AMX. Fewer windows than the most
            so far are filled up.

    Raises:
        ConfigError: an option out of range.
    """

    learns = False

    def __init__(
        self,
        model: WorldModel,
        context: int = 2,
        horizon: int = 3,
        quantile: float = 0.75,
        steps: int = 1,
        compile: bool = False,
    ):
        window = model.dynamics.config.window
        if context < 1 or steps < 1:
            raise ConfigError(f"context and steps must be 1 or more; got {context} and {steps}")
        if not 1 <= horizon < window:
            raise ConfigError(f"horizon must lie in 1 .. {window - 1}, what this model can look back; got {horizon}")
        if not 0 <= quantile <= 1:
            raise ConfigError(f"quantile must lie in [0, 1]; got {quantile}")
        self.model, self.context, self.window = model, context, context + horizon
        self.horizon, self.quantile, self.steps = horizon, quantile, steps
        self._compiled = compiled(self._entropy, model.device, "scoring") if compile else None
        self._most = 1  # windows scored at once so far

    @torch.inference_mode()
    def score(self, frames: Tensor, actions: Tensor) -> Score:
        """Rewards of the frames that the windows lead to.

        Args:
            frames: uint8 (N, c or more, s, s, 3), oldest first; those after the c-th are ignored.
            actions: int64 (N, c - 1 + h), the action taken at each frame of the window but the last.

        Returns:
            reward float32 (N,) and map float32 (N, side, side), both in [0, 2], on the CPU.

        Raises:
            ConfigError: too few frames, or another number of actions.
        """
        if frames.shape[1] < self.context or actions.shape[1] != self.window - 1:
            raise ConfigError(
                f"a window is {self.context} frames and the {self.window - 1} actions from the first of them on; got "
                f"{frames.shape[1]} frames and {actions.shape[1]} actions"
            )
        side, device = self.model.dynamics.config.side, self.model.device
        entropy = self._run(frames[:, : self.context].to(device), actions.to(device))
        grid = rearrange(entropy, "b (h w) -> b h w", h=side)
        return Score(top_mean(entropy, self.quantile).cpu(), grid.cpu())

    def update(self, frames: Tensor, actions: Tensor) -> dict[str, float]:
        """Nothing: the world model is trained by `genie-gym fit` alone."""
        return {}

    def _run(self, frames: Tensor, actions: Tensor) -> Tensor:
        """`_entropy`, compiled if asked for, and then of as many windows as ever: each number of them compiles anew."""
        if self._compiled is None:
            return self._entropy(frames, actions)
        count = len(frames)
        self._most = max(self._most, count)
        rows = torch.arange(self._most, device=frames.device).clamp(max=count - 1)
        return self._compiled(frames[rows], actions[rows])[:count]

    def _entropy(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Entropy of each token of the last frame when it is settled: float32 (N, n)."""
        with autocast(self.model.dtype, self.model.device):
            shown = self.model.tokenizer.encode(to_model(frames))  # (N, c, n)
            led = torch.cat([torch.full_like(actions[:, :1], -1), actions], 1)  # no action led to the first
            draft = torch.full_like(shown[:, 0], self.model.dynamics.hidden)
            logits = self._logits(shown, draft, led)
            entropy = token_entropy(logits)
            hidden = torch.ones_like(draft, dtype=torch.bool)
            for i in range(1, self.steps):
                draft, hidden = self._settled(logits, draft, hidden, i)
                logits = self._logits(shown, draft, led)
                entropy = torch.where(hidden, token_entropy(logits), entropy)
        return entropy

    def _logits(self, shown: Tensor, draft: Tensor, led: Tensor) -> Tensor:
        """Logits (N, n, k) of the last frame, given shown frames (N, c, n) and its tokens so far (N, n)."""
        dynamics = self.model.dynamics
        between = torch.full_like(shown[:, :1], dynamics.hidden).expand(-1, self.horizon - 1, -1)
        features = dynamics.features(torch.cat([shown, between], 1), draft[:, None], led)[:, -1]
        return dynamics.to_logits(features)

    def _settled(self, logits: Tensor, draft: Tensor, hidden: Tensor, done: int) -> tuple[Tensor, Tensor]:
        """The draft with the surest of its hidden tokens filled in after `done` passes, and what is still hidden."""
        confidence, codes = logits.float().softmax(-1).max(-1)
        filled = torch.where(hidden, codes, draft)
        hidden = settle(confidence, hidden, masked_after(done - 1, self.steps, draft.shape[1]))
        return filled.masked_fill(hidden, self.model.dynamics.hidden), hidden
