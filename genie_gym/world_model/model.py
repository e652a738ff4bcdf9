"""Tokenizer and dynamics, frozen and composed: from frames and an action to the next frame, its reward and its end.

Shapes: b rollouts, c prompt frames, n tokens per frame, k codes, s side of a frame in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.architectures import AnyDynamics, AnyTokenizer
from genie_gym.models.lam import LatentActionModel
from genie_gym.models.maskgit import confidence, num_masked_after, sample_tokens, unmask
from genie_gym.utils.compile import compile_frozen
from genie_gym.utils.device import one_thread_if_forked
from genie_gym.utils.images import from_model, to_model
from genie_gym.utils.precision import autocast
from genie_gym.world_model.checksum import checksum
from genie_gym.world_model.rng import uniform
from genie_gym.world_model.sampling import SamplingConfig

__all__ = ["Outcome", "RolloutState", "WorldModel"]


@dataclass
class RolloutState:
    """State of b rollouts.

    Attributes:
        past: Cache of the dynamics over all frames before the newest, of the kind that its `new_cache` returns.
        decoder_past: Cache of the tokenizer's decoder over all frames, likewise.
        tokens: int64 (b, n), the newest frame, not yet in `past`: the next step's first pass commits it.
        actions: int64 (b,), the action before it, -1 for none.
        seeds: int64 (b,), which determine all random numbers of each rollout.
    """

    past: Any
    decoder_past: Any
    tokens: Tensor
    actions: Tensor
    seeds: Tensor

    @torch.no_grad()
    def put(self, rows: Tensor, other: "RolloutState") -> None:
        """Replace the given rollouts, int64 (k,), by the k rollouts of another state."""
        self.past.put(rows, other.past)
        self.decoder_past.put(rows, other.decoder_past)
        self.tokens[rows] = other.tokens
        self.actions[rows] = other.actions
        self.seeds[rows] = other.seeds

    @torch.no_grad()
    def take(self, rows: Tensor) -> "RolloutState":
        """Return the given rollouts, int64 (k,), each as often as it is named; they share no memory with these."""
        past, decoder_past = self.past.take(rows), self.decoder_past.take(rows)
        return RolloutState(past, decoder_past, self.tokens[rows], self.actions[rows], self.seeds[rows])


@dataclass
class Outcome:
    """Result of a step.

    Attributes:
        frames: uint8 (b, s, s, 3); of `predict` (b, 0, 0, 3).
        rewards: float (b,), expected reward in the game's unit.
        termination_prob: float (b,), probability that the episode ended.
        terminated: bool (b,), sampled with that probability.
        logits: float (b, n, k), those with which each token was sampled, of the pass that unmasked it.
    """

    frames: Tensor
    rewards: Tensor
    termination_prob: Tensor
    terminated: Tensor
    logits: Tensor


class WorldModel(nn.Module):
    """A trained tokenizer and dynamics; `start` and `step` never change weights.

    Attributes:
        tokenizer: Encodes frames to tokens and decodes them.
        dynamics: Predicts the next frame's tokens, its reward and whether the episode ends.
        latent_actions: Latent action model that infers the actions between a prompt's frames, if the dynamics were
            trained on its codes (the paper's GenieRedux); None if they were trained on real actions (GenieRedux-G).
        dtype: Precision of matrix products, see `run_in`.
    """

    def __init__(self, tokenizer: AnyTokenizer, dynamics: AnyDynamics, latent_actions: LatentActionModel | None = None):
        super().__init__()
        self.tokenizer = tokenizer
        self.dynamics = dynamics
        self.latent_actions = latent_actions
        self.dtype = torch.float32
        self._step: Callable[[RolloutState, Tensor, SamplingConfig], Outcome] = self._advance
        self.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.dynamics.codebook.device

    def run_in(self, dtype: torch.dtype) -> None:
        """Run matrix products of tokenizer and dynamics in `dtype` from now on.

        Their weights are rounded to it, so do not save the model afterwards. Autocast would round them anew at every
        call, which takes a seventh of the time of a step of the preset `paper`.
        """
        self.dtype = dtype
        self.__dict__.pop("fingerprint", None)  # the weights become others
        for part in (*self.tokenizer.modules(), *self.dynamics.modules()):
            if isinstance(part, (nn.Linear, nn.Conv3d)):
                part.to(dtype)

    def compile_step(self) -> None:
        """Let `torch.compile` turn the whole step into one graph, or each of its passes if it has several.

        The first step of each batch size then takes a minute, or five for the preset `paper`. On two CPU cores with
        AMX, `tiny-transformer` then makes 1.7 to 2.7 times the steps per second, `paper` a third more. If nothing can
        be compiled, for example without a C++ compiler, a RuntimeWarning says so and steps run uncompiled.
        """
        whole = compile_frozen(self._advance, self.device, "the step")
        one_pass = compile_frozen(self.dynamics.features, self.device, "a pass")
        decode = compile_frozen(self.tokenizer.decode, self.device, "decoding")

        def step(state: RolloutState, actions: Tensor, sampling: SamplingConfig) -> Outcome:
            if sampling.steps == 1:
                return whole(state, actions, sampling)
            return self._advance(
                state, actions, sampling, one_pass, decode
            )  # one graph of eight passes takes too long to compile

        self._step = step

    @property
    def tokens(self) -> int:
        """Tokens per frame."""
        return self.tokenizer.config.side**2

    @cached_property
    def fingerprint(self) -> str:
        """Checksum of the weights as they are computed with: a state goes on exactly in a model that has the same."""
        return checksum(self.state_dict())

    @torch.inference_mode(False)  # else a rollout started in that mode could not be stepped outside of it
    @torch.no_grad()
    def start(
        self, frames: Tensor, actions: Tensor | None = None, seeds: Tensor | None = None
    ) -> tuple[RolloutState, Tensor]:
        """Start b rollouts from real frames.

        Args:
            frames: uint8 (b, c, s, s, 3), c >= 1, oldest first.
            actions: int64 (b, c - 1), the actions between them, -1 for an unknown one; None if all are unknown. A
                latent action model infers unknown ones from the frames.
            seeds: int64 (b,). The same seed, prompt and actions give the same rollout; 0 to b - 1 by default.

        Returns:
            The state, and the newest frame as the model sees it, uint8 (b, s, s, 3).
        """
        one_thread_if_forked()
        frames = frames.to(self.device)
        with autocast(self.dtype, self.device):
            tokens = self.tokenizer.encode(to_model(frames))
            b, c, _ = tokens.shape
            prev_actions = torch.full((b, c), -1, device=self.device)
            if actions is not None:
                prev_actions[:, 1:] = actions.to(self.device)
            if self.latent_actions is not None and c > 1:
                prev_actions[:, 1:] = torch.where(
                    prev_actions[:, 1:] < 0, self.latent_actions.codes(to_model(frames)), prev_actions[:, 1:]
                )
            state = self.empty_state(b)
            if c > 1:
                self.dynamics.features(tokens[:, :-1], tokens[:, :0], prev_actions[:, :-1], state.past)
            reconstruction = self.tokenizer.decode(tokens, state.decoder_past)[:, -1]
        state.tokens.copy_(tokens[:, -1])
        state.actions.copy_(prev_actions[:, -1])
        state.seeds.copy_(torch.arange(b) if seeds is None else seeds)
        return state, from_model(reconstruction)

    @torch.inference_mode(False)
    @torch.no_grad()
    def empty_state(self, batch: int) -> RolloutState:
        """Return the state of `batch` rollouts before their first frame: every tensor in its shape and dtype."""
        with autocast(self.dtype, self.device):
            past: Any = self.dynamics.new_cache(batch)
            decoder_past: Any = self.tokenizer.new_cache(batch)
        tokens = torch.zeros(batch, self.tokens, dtype=torch.int64, device=self.device)
        actions, seeds = torch.full_like(tokens[:, 0], -1), torch.zeros_like(tokens[:, 0])
        return RolloutState(past, decoder_past, tokens, actions, seeds)

    @torch.inference_mode(False)
    @torch.no_grad()
    def step(self, state: RolloutState, actions: Tensor, sampling: SamplingConfig) -> Outcome:
        """Take one action in each of b rollouts and advance `state`.

        Args:
            state: State from `start`; its tensors are overwritten.
            actions: int64 (b,).
            sampling: How tokens are sampled.
        """
        one_thread_if_forked()
        with autocast(self.dtype, self.device):
            return self._step(state, actions.to(self.device).contiguous(), sampling)  # graphs depend on strides

    @torch.inference_mode(False)
    @torch.no_grad()
    def predict(self, state: RolloutState, actions: Tensor, sampling: SamplingConfig) -> Outcome:
        """Take a step as `step` does, but draw no frames and leave the decoder's cache alone; never compiled."""
        one_thread_if_forked()
        with autocast(self.dtype, self.device):
            return self._advance(state, actions.to(self.device), sampling, decode=_no_frames)

    @torch.no_grad()
    def single_pass(
        self, frames: Tensor, prev_actions: Tensor, actions: Tensor, seeds: Tensor, sampling: SamplingConfig
    ) -> Tensor:
        """Predict the frames that follow a prompt in a single pass: no predicted frame depends on another.

        This is the paper's cheaper way to evaluate (section 5); rollouts are autoregressive. As in training clips with
        a masked past, the frames before the predicted one are in the input, masked, with their actions. The first
        frame is that of `step`.

        Args:
            frames: uint8 (b, c, s, s, 3), the prompt; training masks the past after 2 frames or more.
            prev_actions: int64 (b, c - 1), the actions between them.
            actions: int64 (b, h), those to take from there on.
            seeds: int64 (b,), see `start`.
            sampling: How the tokens of each frame are sampled.

        Returns:
            uint8 (b, h, s, s, 3).
        """
        frames, prev_actions, actions, seeds = (x.to(self.device) for x in (frames, prev_actions, actions, seeds))
        with autocast(self.dtype, self.device):
            prompt = self.tokenizer.encode(to_model(frames))
            none = torch.full_like(actions[:, :1], -1)  # there is no action before the first frame
            prev_actions = torch.cat([none, prev_actions, actions], 1)
            tokens = torch.cat([prompt, self._sample_single_pass(prompt, prev_actions, seeds, sampling)], 1)
            return from_model(self.tokenizer.decode(tokens)[:, prompt.shape[1] :])

    def _sample_single_pass(
        self, prompt: Tensor, prev_actions: Tensor, seeds: Tensor, sampling: SamplingConfig
    ) -> Tensor:
        """Return tokens (b, h, n) of the frames after a prompt (b, c, n), each a draft of its own.

        prev_actions is (b, c + h).
        """
        (b, c, n), h = prompt.shape, prev_actions.shape[1] - prompt.shape[1]
        mask_frames = prompt.new_full((b, h, n), self.dynamics.mask_token)
        past = torch.cat([prompt, mask_frames[:, 1:]], 1)
        numbers = 2 * sampling.steps * n + 1  # as many as a step draws
        noise = torch.cat([uniform(seeds, torch.full_like(seeds, c - 1 + i), numbers) for i in range(h)])
        noise = rearrange(noise[:, 1:], "(h b) (i k n) -> (b h) i k n", h=h, k=2, n=n)
        tokens = rearrange(mask_frames, "b h n -> (b h) n")
        masked = torch.ones_like(tokens, dtype=torch.bool)
        for i in range(sampling.steps):
            drafts = rearrange(tokens, "(b h) n -> b h n", h=h)
            features = self.dynamics.draft_features(past, drafts, prev_actions)
            logits = rearrange(self.dynamics.to_logits(features), "b h n k -> (b h) n k")
            tokens, masked = self._unmask(logits, noise[:, i], tokens, masked, i, sampling)
        return rearrange(tokens, "(b h) n -> b h n", h=h)

    def _advance(
        self,
        state: RolloutState,
        actions: Tensor,
        sampling: SamplingConfig,
        one_pass: Callable[..., Tensor] | None = None,
        decode: Callable[..., Tensor] | None = None,
    ) -> Outcome:
        """Return the result of a step, and advance the state; passes and decoding may be compiled functions."""
        noise = uniform(state.seeds, state.past.count, self.numbers_per_step(sampling))
        return self.advance(state, actions, noise, sampling, one_pass=one_pass, decode=decode)

    def numbers_per_step(self, sampling: SamplingConfig) -> int:
        """Random numbers that a step takes."""
        return 2 * sampling.steps * self.tokens + 1

    def advance(
        self,
        state: RolloutState,
        actions: Tensor,
        noise: Tensor,
        sampling: SamplingConfig,
        given: Tensor | None = None,
        one_pass: Callable[..., Tensor] | None = None,
        decode: Callable[..., Tensor] | None = None,
    ) -> Outcome:
        """Take a step as a function of its random numbers, which `step` derives from the seeds; for export.

        Args:
            state: State from `start`; its tensors are overwritten.
            actions: int64 (b,).
            noise: float (b, `numbers_per_step`), uniform in [0, 1).
            sampling: How tokens are sampled.
            given: Tokens int64 (b, n) that take the place of sampled ones, -1 for none.
            one_pass: Takes the place of the dynamics' `features`.
            decode: Takes the place of the tokenizer's `decode`.
        """
        one_pass, decode = one_pass or self.dynamics.features, decode or self.tokenizer.decode
        token_noise = rearrange(noise[:, 1:], "b (i k n) -> b i k n", k=2, n=self.tokens)
        tokens, logits, features = self._sample(state, actions, token_noise, sampling, one_pass)
        if given is not None:
            tokens = torch.where(given >= 0, given, tokens)
        rewards, termination = self.dynamics.heads(features, self.dynamics.codebook[tokens])
        termination_prob = termination.float().sigmoid()
        frames = decode(tokens[:, None], state.decoder_past)[:, 0]
        state.tokens.copy_(tokens)
        state.actions.copy_(actions)
        expected = self.dynamics.heads.expected(rewards)
        terminated = noise[:, 0] < termination_prob
        return Outcome(from_model(frames), expected, termination_prob, terminated, logits)

    def _sample(
        self,
        state: RolloutState,
        actions: Tensor,
        noise: Tensor,
        sampling: SamplingConfig,
        one_pass: Callable[..., Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next frame's tokens (b, n), their logits, and features of the last pass.

        noise is (b, steps, 2, n).
        """
        past, prev_actions = state.tokens[:, None], torch.stack([state.actions, actions], 1)
        tokens = torch.full_like(state.tokens, self.dynamics.mask_token)
        masked = torch.ones_like(tokens, dtype=torch.bool)
        logits = torch.empty(0)
        for i in range(sampling.steps):
            # The first pass also commits the previous frame; later ones compute the new frame only.
            features = one_pass(past, tokens[:, None], prev_actions, state.past)[:, -1]
            past, prev_actions = past[:, :0], prev_actions[:, -1:]
            new_logits = self.dynamics.to_logits(features).float()
            logits = new_logits if i == 0 else torch.where(masked.unsqueeze(-1), new_logits, logits)
            tokens, masked = self._unmask(new_logits, noise[:, i], tokens, masked, i, sampling)
        return tokens, logits, features

    def _unmask(
        self, logits: Tensor, noise: Tensor, tokens: Tensor, masked: Tensor, i: int, sampling: SamplingConfig
    ) -> tuple[Tensor, Tensor]:
        """Return tokens (b, n) after pass i, and which are still masked; from logits (b, n, k) and noise (b, 2, n)."""
        codes = sample_tokens(logits, noise[:, 0], sampling.temperature, sampling.min_p)
        priority = confidence(logits, codes) if sampling.order == "confidence" else noise[:, 1]
        sampled = torch.where(masked, codes, tokens)
        masked = unmask(priority, masked, num_masked_after(i, sampling.steps, tokens.shape[1]))
        return sampled.masked_fill(masked, self.dynamics.mask_token), masked


def _no_frames(tokens: Tensor, past: Any) -> Tensor:
    """Stand in for the decoder where nobody looks: float (b, 1, 3, 0, 0)."""
    return torch.empty(len(tokens), 1, 3, 0, 0, device=tokens.device)
