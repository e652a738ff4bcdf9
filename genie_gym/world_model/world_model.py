"""Tokenizer and dynamics, frozen and composed: frames and an action in; the next frame, its reward and its end out.

Shapes: b dreams, c prompt frames, n tokens a frame, k codes, s side of a frame in pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from genie_gym.errors import ConfigError
from genie_gym.frames import from_model, to_model
from genie_gym.models.cache import Cache
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.models.maskgit import confidence, masked_after, sample_tokens, settle
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.models.transformer import with_drafts
from genie_gym.precision import autocast
from genie_gym.world_model.compiling import compiled
from genie_gym.world_model.noise import uniform

__all__ = ["DreamState", "Outcome", "Sampling", "WorldModel"]

ORDERS = ("confidence", "random")


@dataclass(frozen=True)
class Sampling:
    """How the tokens of a new frame are drawn.

    The defaults are for long dreams. Taking the likeliest code (temperature 0) scores three decibels more four frames
    ahead, but a game that waits for something waits for ever: a message that stays for 38 frames goes away with
    probability 1/38 at each. Settling what is surest first has the same fault, as a rare draw is drawn again. More
    passes than one bring little: in Airstriker eight take 4.9 times as long a step for half a decibel more four frames
    ahead, and no way measured has late dreams more like the game than the default (benchmarks/results/sampling.md).

    Attributes:
        steps: passes a frame; at each, more tokens are settled, given those settled before.
        temperature: of the draw; 0 takes the likeliest code.
        order: "confidence" settles what the model is sure of first, "random" any token.
        floor: codes less likely than this share of the likeliest are never drawn.

    Raises:
        ConfigError: if a value is out of range.
    """

    steps: int = 1
    temperature: float = 1.0
    order: str = "random"
    floor: float = 0.02

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 1:
            raise ConfigError(f"sampling steps must be a whole number, 1 or more; got {self.steps!r}")
        if not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature must be 0 or more; got {self.temperature}")
        if not 0 <= self.floor < 1:
            raise ConfigError(f"floor must lie in [0, 1); got {self.floor}")
        if self.order not in ORDERS:
            raise ConfigError(f"order must be one of {', '.join(ORDERS)}; got {self.order!r}")

    def changed(self, **values: Any) -> "Sampling":
        """With other values for those fields that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})


@dataclass
class DreamState:
    """Where b dreams stand.

    Attributes:
        past: the dynamics' memory of all frames before the newest.
        pictures: the decoder's memory of all frames.
        tokens: int64 (b, n), the newest frame, not yet in `past`: it is committed by the next step's first pass.
        actions: int64 (b,), the action that led to it, -1 for none.
        seeds: int64 (b,), what each dream's draws follow from.
    """

    past: Cache
    pictures: Cache
    tokens: Tensor
    actions: Tensor
    seeds: Tensor

    @torch.no_grad()
    def put(self, rows: Tensor, other: "DreamState") -> None:
        """Overwrites the given dreams (int64 (k,)) with the k dreams of another state."""
        self.past.put(rows, other.past)
        self.pictures.put(rows, other.pictures)
        self.tokens[rows] = other.tokens
        self.actions[rows] = other.actions
        self.seeds[rows] = other.seeds


@dataclass
class Outcome:
    """What a step brought.

    Attributes:
        frames: uint8 (b, s, s, 3).
        rewards: float (b,), expected reward in the game's unit.
        ends: float (b,), probability that the episode ended.
        ended: bool (b,), drawn with it.
        logits: float (b, n, k), those that each token was drawn with, in the sampling step that settled it.
    """

    frames: Tensor
    rewards: Tensor
    ends: Tensor
    ended: Tensor
    logits: Tensor


class WorldModel(nn.Module):
    """A trained tokenizer and dynamics; `start` and `step` never change weights.

    Attributes:
        latent_actions: finds the actions in a prompt's pictures, where the dynamics were fitted to its codes (the
            paper's GenieRedux); None where they were fitted to true actions (GenieRedux-G).
    """

    def __init__(self, tokenizer: Tokenizer, dynamics: Dynamics, latent_actions: LatentActionModel | None = None):
        super().__init__()
        self.tokenizer = tokenizer
        self.dynamics = dynamics
        self.latent_actions = latent_actions
        self.dtype = torch.float32
        self._step: Callable[[DreamState, Tensor, Sampling], Outcome] = self._advance
        self.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return self.dynamics.codebook.device

    def run_in(self, dtype: torch.dtype) -> None:
        """Has matrix products of tokenizer and dynamics run in `dtype` from now on.

        Their weights are rounded to it, so do not save the model afterwards. Autocast would round them anew at every
        call, which is a seventh of the time of a step of the preset `paper`.
        """
        self.dtype = dtype
        for part in (*self.tokenizer.modules(), *self.dynamics.modules()):
            if isinstance(part, (nn.Linear, nn.Conv3d)):
                part.to(dtype)

    def compile_step(self) -> None:
        """Lets `torch.compile` turn the whole step into one graph, or each of its passes where it has several.

        The first step of each batch size then takes a minute, or five for the preset `paper`. On two CPU cores with AMX
        `tiny` then makes 1.7 to 2.7 times the steps, `paper` a third more. Where nothing can be compiled, for
        want of a C++ compiler say, a RuntimeWarning tells so and steps go on as they are.
        """
        whole = compiled(self._advance, self.device, "the step")
        one_pass = compiled(self.dynamics.features, self.device, "a pass")
        decode = compiled(self.tokenizer.decode, self.device, "decoding")

        def step(state: DreamState, actions: Tensor, sampling: Sampling) -> Outcome:
            if sampling.steps == 1:
                return whole(state, actions, sampling)
            return self._advance(state, actions, sampling, one_pass, decode)  # one graph of eight takes ages to make

        self._step = step

    @property
    def tokens(self) -> int:
        """Tokens a frame."""
        return self.tokenizer.config.side**2

    @torch.inference_mode(False)  # or what is begun within it could not be stepped outside
    @torch.no_grad()
    def start(
        self, frames: Tensor, actions: Tensor | None = None, seeds: Tensor | None = None
    ) -> tuple[DreamState, Tensor]:
        """Begins b dreams from real frames.

        Args:
            frames: uint8 (b, c, s, s, 3), c >= 1, oldest first.
            actions: int64 (b, c - 1), the actions between them, -1 for one unknown; None if all are. With a latent
                action model those unknown are found in the frames.
            seeds: int64 (b,): the same seed, prompt and actions give the same dream; 0 to b - 1 by default.

        Returns:
            the state, and uint8 (b, s, s, 3), the newest frame as the model sees it.
        """
        frames = frames.to(self.device)
        with autocast(self.dtype, self.device):
            tokens = self.tokenizer.encode(to_model(frames))
            b, c, _ = tokens.shape
            led = torch.full((b, c), -1, device=self.device)
            if actions is not None:
                led[:, 1:] = actions.to(self.device)
            if self.latent_actions is not None and c > 1:
                led[:, 1:] = torch.where(led[:, 1:] < 0, self.latent_actions.codes(to_model(frames)), led[:, 1:])
            past = self.dynamics.transformer.new_cache(b)
            pictures = self.tokenizer.decoder.new_cache(b)
            if c > 1:
                self.dynamics.features(tokens[:, :-1], tokens[:, :0], led[:, :-1], past)
            seen = self.tokenizer.decode(tokens, pictures)[:, -1]
        seeds = torch.arange(b) if seeds is None else seeds
        newest = tokens[:, -1].clone(), led[:, -1].clone(), seeds.to(self.device, copy=True)
        return DreamState(past, pictures, *newest), from_model(seen)

    @torch.inference_mode(False)
    @torch.no_grad()
    def step(self, state: DreamState, actions: Tensor, sampling: Sampling) -> Outcome:
        """Takes one action in each of b dreams and moves `state` on.

        Args:
            state: from `start`; its tensors are overwritten.
            actions: int64 (b,).
            sampling: how tokens are drawn.
        """
        with autocast(self.dtype, self.device):
            return self._step(state, actions.to(self.device).contiguous(), sampling)  # a graph is made for its strides

    @torch.no_grad()
    def at_once(self, frames: Tensor, led: Tensor, actions: Tensor, seeds: Tensor, sampling: Sampling) -> Tensor:
        """The frames that follow a prompt, predicted in a single pass: none of them is looked at when another is drawn.

        This is the paper's cheaper way to evaluate (section 5); dreams take step after step. As in training's clips
        with a hidden past, the frames before the one that is drawn are in the input, hidden, with their actions. The
        first frame is that of `step`.

        Args:
            frames: uint8 (b, c, s, s, 3), the prompt; training hides the past after 2 frames or more.
            led: int64 (b, c - 1), the actions between them.
            actions: int64 (b, h), those to take from there on.
            seeds: int64 (b,), as of `start`.
            sampling: how the tokens of each frame are drawn.

        Returns:
            uint8 (b, h, s, s, 3).
        """
        frames, led, actions, seeds = (x.to(self.device) for x in (frames, led, actions, seeds))
        with autocast(self.dtype, self.device):
            shown = self.tokenizer.encode(to_model(frames))
            led = torch.cat([torch.full_like(actions[:, :1], -1), led, actions], 1)  # no action led to the first
            tokens = torch.cat([shown, self._draw_at_once(shown, led, seeds, sampling)], 1)
            return from_model(self.tokenizer.decode(tokens)[:, shown.shape[1] :])

    def _draw_at_once(self, shown: Tensor, led: Tensor, seeds: Tensor, sampling: Sampling) -> Tensor:
        """Tokens (b, h, n) of the frames after those shown (b, c, n), each a draft of its own; led (b, c + h)."""
        (b, c, n), h = shown.shape, led.shape[1] - shown.shape[1]
        hidden_frames = shown.new_full((b, h, n), self.dynamics.hidden)
        past = self.dynamics.embeddings(torch.cat([shown, hidden_frames[:, 1:]], 1))
        numbers = 2 * sampling.steps * n + 1  # as many as a step draws
        noise = torch.cat([uniform(seeds, torch.full_like(seeds, c - 1 + i), numbers) for i in range(h)])
        noise = rearrange(noise[:, 1:], "(h b) (i k n) -> (b h) i k n", h=h, k=2, n=n)
        tokens = rearrange(hidden_frames, "b h n -> (b h) n")
        hidden = torch.ones_like(tokens, dtype=torch.bool)
        for i in range(sampling.steps):
            drafts = self.dynamics.embeddings(rearrange(tokens, "(b h) n -> b h n", h=h))
            features = self.dynamics.transformer(with_drafts(past, drafts, self.dynamics.one_hot(led)))
            drawn = rearrange(self.dynamics.to_logits(features), "b h n k -> (b h) n k")
            tokens, hidden = self._settled(drawn, noise[:, i], tokens, hidden, i, sampling)
        return rearrange(tokens, "(b h) n -> b h n", h=h)

    def _advance(
        self,
        state: DreamState,
        actions: Tensor,
        sampling: Sampling,
        one_pass: Callable[..., Tensor] | None = None,
        decode: Callable[..., Tensor] | None = None,
    ) -> Outcome:
        """A step; its passes and its decoding may be given compiled."""
        one_pass, decode = one_pass or self.dynamics.features, decode or self.tokenizer.decode
        b, n = state.tokens.shape
        noise = uniform(state.seeds, state.past.count, 2 * sampling.steps * n + 1)
        draws = noise[:, 1:].reshape(b, sampling.steps, 2, n)
        tokens, logits, features = self._draw(state, actions, draws, sampling, one_pass)
        rewards, ends = self.dynamics.heads(features)
        ends = ends.float().sigmoid()
        frames = decode(tokens[:, None], state.pictures)[:, 0]
        state.tokens.copy_(tokens)
        state.actions.copy_(actions)
        expected = self.dynamics.heads.expected(rewards)
        return Outcome(from_model(frames), expected, ends, noise[:, 0] < ends, logits.float())

    def _draw(
        self, state: DreamState, actions: Tensor, noise: Tensor, sampling: Sampling, one_pass: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next frame's tokens (b, n), their logits, and features of the last pass; noise (b, steps, 2, n)."""
        past, led = state.tokens[:, None], torch.stack([state.actions, actions], 1)
        tokens = torch.full_like(state.tokens, self.dynamics.hidden)
        hidden = torch.ones_like(tokens, dtype=torch.bool)
        logits = torch.empty(0)
        for i in range(sampling.steps):
            # The first pass also commits the previous frame; later ones only redo the new frame.
            features = one_pass(past, tokens[:, None], led, state.past)[:, -1]
            past, led = past[:, :0], led[:, -1:]
            drawn = self.dynamics.to_logits(features)
            logits = drawn if i == 0 else torch.where(hidden.unsqueeze(-1), drawn, logits)
            tokens, hidden = self._settled(drawn, noise[:, i], tokens, hidden, i, sampling)
        return tokens, logits, features

    def _settled(
        self, drawn: Tensor, noise: Tensor, tokens: Tensor, hidden: Tensor, i: int, sampling: Sampling
    ) -> tuple[Tensor, Tensor]:
        """Tokens (b, n) after pass i, and which are hidden still; from logits (b, n, k) and noise (b, 2, n)."""
        codes = sample_tokens(drawn, noise[:, 0], sampling.temperature, sampling.floor)
        priority = confidence(drawn, codes) if sampling.order == "confidence" else noise[:, 1]
        settled = torch.where(hidden, codes, tokens)
        hidden = settle(priority, hidden, masked_after(i, sampling.steps, tokens.shape[1]))
        return settled.masked_fill(hidden, self.dynamics.hidden), hidden
