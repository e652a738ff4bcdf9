"""Masked prediction of the next frame's tokens from the past and the action (section 4): what all dynamics share.

Shapes: b clips, t frames, n tokens a frame, d width of the features, k codes, c width of a code.

This is the *unshifted* form of MaskGIT: the frame to be predicted is in the input, masked, together with the action
that leads to it, so several sampling steps refine one another. (The authors' released code is shifted: there slot t
holds frame t and predicts t + 1, and all sampling steps of a single frame see the same input.)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.heads import OutcomeHeads
from genie_gym.models.maskgit import random_masks, sample_tokens
from genie_gym.utils.precision import full_precision

__all__ = ["MaskedPrediction", "MaskedPredictionConfig", "mixed_actions", "token_distance_cross_entropy"]

PREDICTED = ("tokens", "rewards", "terminated", "changed")

Totals = dict[str, tuple[Tensor, Tensor]]  # a sum, and the number of its summands


@dataclass(frozen=True)
class MaskedPredictionConfig:
    """Actions, codes, loss weights and training noise of every dynamics.

    Attributes:
        num_actions: Number of discrete actions.
        codes: Number of codes of the tokenizer.
        code_dim: Width of a code.
        tdce: Weight of the token distance term of equation 1; 0 leaves plain cross-entropy.
        changed_weight: Extra weight in the loss of tokens whose pixels changed since the previous frame.
        independent_weight: Further weight of those that changed otherwise than by the camera's motion.
        predicted_frames: The last frames of a clip that are predicted; None for all but the first.
        still_share: Share of the unchanged tokens that training looks at, each for others too; less spares time.
        max_corruption: Largest share of past tokens replaced at random in training.
        masked_past_share: Share of clips trained with a masked past after some frame.
        fully_masked_share: Share of frames trained with all tokens masked.
        action_dropout: Share of actions replaced by none in training.
        history_dropout: Share of clips whose actions before some frame are replaced by none, as rollouts begin.
        outcome_weight: Weight of the reward and termination losses.
        termination_sees_frame: Whether the end of an episode is read from the frame's own tokens too, rather than only
            from what was known before it.
        rollout_share: Share of batches trained with a past that the model predicted itself, at the end of the training;
            it grows from 0, as early predictions teach nothing.
        rollout_temperature: Lowest temperature that those rollouts are sampled with; each draws one from there to 1. It
            is the one that new models are sampled with by default.
    """

    num_actions: int
    codes: int = 1024
    code_dim: int = 32
    tdce: float = 1.0
    changed_weight: float = 4.0  # a frame's unchanged tokens are easy, and many
    independent_weight: float = 0.0
    predicted_frames: int | None = None
    still_share: float = 1.0
    max_corruption: float = 0.1  # a rollout must survive its own errors
    masked_past_share: float = 0.15  # for the prediction of several frames in a single pass
    fully_masked_share: float = 0.5  # as in the first sampling step
    action_dropout: float = 0.05  # contexts may come without actions
    outcome_weight: float = 1.0
    termination_sees_frame: bool = False  # as in models made before there was a choice
    history_dropout: float = 0.0
    rollout_share: float = 0.0
    rollout_temperature: float = 1.0


def token_distance_cross_entropy(logits: Tensor, target: Tensor, codes: Tensor, weight: float = 1.0) -> Tensor:
    """Return equation 1 for each token: (y^T K) softmax(x) + CE(x, y), K the cosine distances between codes.

    With K = 1 - C C^T the first term is 1 - c_y (softmax(x) C): the distance to the expected code, which needs no row
    of K for each token.

    Args:
        logits: x, float (..., k).
        target: y, int64 (...).
        codes: C, float (k, c), rows of length 1.
        weight: Factor of the distance term.

    Returns:
        float (...).
    """
    log_probabilities = logits.float().log_softmax(-1)
    entropy = -log_probabilities.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    if weight == 0:
        return entropy
    with full_precision(logits.device):
        expected = log_probabilities.exp() @ codes
    return entropy + weight * (1 - (codes[target] * expected).sum(-1))


def mixed_actions(weight: Tensor, mixture: Tensor, steps: int = 1) -> Tensor:
    """Return the weights of a layer that reads one-hot actions, for other actions that are mixtures of its own.

    Args:
        weight: float (d, steps * a + r): a columns for each of the steps, then r that read something else.
        mixture: float (b, a), see `MaskedPrediction.with_actions`.
        steps: Number of actions that the layer reads.

    Returns:
        float (d, steps * b + r).
    """
    count = steps * mixture.shape[1]
    columns = rearrange(weight[:, :count], "d (l a) -> d l a", l=steps)
    mixed = columns.double() @ mixture.T.to(columns.device, torch.float64)  # exact where an action is kept
    return torch.cat([rearrange(mixed, "d l b -> d (l b)").to(weight), weight[:, count:]], 1)


class MaskedPrediction(nn.Module):
    """Prediction of the codes of masked tokens, and of reward and termination of the step that led to each frame.

    A subclass provides `draft_features`, `features` (which a cache makes cheap), `new_cache`, `with_actions` and
    `action_weights`.

    Attributes:
        config: Sizes and training noise.
        mask_token: Stands for a token that is not known yet.
        codebook: float (k, c), the tokenizer's codes.
        heads: Reward and termination of the step that led to a frame.
        to_logits: Turns features float (..., n, d) into logits (..., n, k).
    """

    config: Any
    codebook: Tensor
    heads: OutcomeHeads
    to_logits: Callable[[Tensor], Tensor]

    def __init__(self, config: MaskedPredictionConfig):
        super().__init__()
        self.config = config
        self.mask_token = config.codes
        self.register_buffer("codebook", torch.zeros(config.codes, config.code_dim))

    def draft_features(self, past: Tensor, drafts: Tensor, actions: Tensor) -> Tensor:
        """Return features of drafts of the last m frames, each given the frames before it, in a single pass.

        Args:
            past: int64 (b, t, n), all frames but the last; whole frames may be masked, but not the first one.
            drafts: int64 (b, m, n), the last frames, m <= t of them, `mask_token` where masked.
            actions: int64 (b, t + 1), the action that led to each frame, -1 for none.

        Returns:
            float (b, m, n, d).
        """
        raise NotImplementedError

    def with_actions(self, mixture: Tensor) -> "MaskedPrediction":
        """Return a copy for b other actions, each a mixture of this model's; all other weights are kept.

        Actions are one-hot, so that a layer has a vector for each, and a mixture of them is one of these vectors.

        Args:
            mixture: float (b, num_actions), rows that sum to 1: how much of each action there is in each new one. A row
                with a single 1 is the action itself.
        """
        raise NotImplementedError

    def action_weights(self) -> tuple[str, ...]:
        """Return the names of the weights that read actions."""
        raise NotImplementedError

    def features(self, past: Tensor, drafts: Tensor, actions: Tensor, cache: Any = None) -> Tensor:
        """Return features float (b, m, n, d) of drafts int64 (b, m, n) after a past int64 (b, t, n).

        Args:
            past: History after what the cache holds, to which it is appended.
            drafts: The next frames, `mask_token` where masked.
            actions: int64 (b, t + m), the action that led to each frame, -1 for none.
            cache: What `new_cache` returned.
        """
        raise NotImplementedError

    def new_cache(self, batch: int) -> Any:
        """Return an empty cache for `batch` rollouts."""
        raise NotImplementedError

    def training_features(
        self, past: Tensor, drafts: Tensor, actions: Tensor, cache: Any = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return `draft_features`, and what the model thinks of the camera's motion, if anything.

        A cache is that of the rollout in which the model predicted the end of the past itself, up to its last frame.
        """
        return self.draft_features(past, drafts, actions), None

    def auxiliary_loss(
        self, features: Tensor, tokens: Tensor, weight: Tensor, motion: Tensor | None, camera: Tensor | None
    ) -> Tensor:
        """Return a further loss.

        Args:
            features: float (b, t, n, d).
            tokens: int64 (b, t, n).
            weight: Weights of the tokens, float (b, t, n).
            motion: The camera's motion as `training_features` returned it.
            camera: The camera's true motion, down and right in pixels, float (b, t, 2), not a number where unknown.
        """
        return features.new_zeros(())

    def heads_of(self, dim: int) -> OutcomeHeads:
        """Return heads for features of that width, not yet trained."""
        return OutcomeHeads(dim, code_dim=self.config.code_dim if self.config.termination_sees_frame else None)

    def with_frame_termination(self) -> "MaskedPrediction":
        """Return a copy whose termination is read from the frame's own tokens too, by a head that knows nothing yet.

        Everything else is kept.
        """
        other: MaskedPrediction = replace(self.config, termination_sees_frame=True).build()
        kept = {name: value for name, value in self.state_dict().items() if not name.startswith("heads.termination.")}
        other.load_state_dict(other.state_dict() | kept)
        return other.to(self.codebook.device)

    def one_hot(self, actions: Tensor) -> Tensor:
        """Return one-hot actions (..., num_actions) of actions int64 (...); zeros for -1, no action."""
        known = (actions >= 0).unsqueeze(-1)
        return F.one_hot(actions.clamp(min=0), self.config.num_actions).to(self.heads.hidden.weight.dtype) * known

    def next_logits(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """Return the logits of each frame but the first, given the frames before it, in a single pass.

        Args:
            tokens: int64 (b, t, n).
            actions: int64 (b, t), the action that led to each frame, -1 for none.

        Returns:
            float (b, t - 1, n, k).
        """
        past = tokens[:, :-1]
        return self.to_logits(self.draft_features(past, torch.full_like(past, self.mask_token), actions))

    def next_frames(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """Return the likeliest tokens int64 (b, t, n) of each frame by `next_logits`; the first frame is kept."""
        predicted = self.next_logits(tokens, actions).argmax(-1)
        return torch.cat([tokens[:, :1], predicted], 1)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss on masked tokens of every frame but the first, and on rewards and terminations.

        Args:
            batch: "tokens" int64 (b, t, n); "actions" int64 (b, t), the action that led to each frame, -1 for none, or
                more of them at the front where the model can know those before the first frame;
                "rewards" float (b, t); "terminated" bool (b, t); "changed" bool (b, t, n), tokens over changed pixels;
                and, both of which may be left out, "camera" float (b, t, 2), its motion down and right in pixels, and
                "independent" bool (b, t, n), changed tokens that it does not explain.

        Returns:
            Scalar loss and scalars "cross_entropy", "accuracy", "accuracy_changed", "reward", "termination".
        """
        loss, totals = self.loss_and_totals(batch)
        return loss, {name: total / count.clamp(min=1) for name, (total, count) in totals.items()}

    def loss_and_totals(self, batch: dict[str, Tensor]) -> tuple[Tensor, Totals]:
        """Return the loss, and each metric as a sum and the number of tokens or frames in it.

        Batches hold different numbers of masked and of changed tokens: a metric over many of them is the sum of the
        sums over that of the numbers, not the mean of the means.
        """
        c, past, past_masks = self.config, *self._noisy_past(batch["tokens"])
        m = self._predicted(past)
        tokens, rewards, terminated, changed = (batch[name][:, -m:] for name in PREDICTED)
        independent = batch["independent"][:, -m:] if "independent" in batch else torch.zeros_like(changed)
        masks = self._draft_masks(past_masks[:, -m:])
        actions = self._with_dropout(batch["actions"])
        drafts, cache = tokens.masked_fill(masks, self.mask_token), None
        if self.training and torch.rand(()) < c.rollout_share * float(batch.get("progress", 1.0)):
            past, cache = self._with_own_predictions(past, actions, m)
        features, motion = self.training_features(past[:, :-1], drafts, actions, cache)
        counts = self._counts(masks, changed)
        importance = 1 + c.changed_weight * changed + c.independent_weight * independent
        reward, termination = self.heads.loss(features, self.codebook[tokens], rewards, terminated)
        camera = batch["camera"][:, -m:] if "camera" in batch else None
        loss = self.auxiliary_loss(features, tokens, importance, motion, camera) + c.outcome_weight * (
            reward + termination
        )
        outcomes = {"reward": reward.detach(), "termination": termination.detach()}

        # Logits are as many as pixels are, a thousandfold: only of tokens that count, where some do not.
        rows = counts.flatten().nonzero()[:, 0] if self.training and c.still_share < 1 else slice(None)
        features = rearrange(features, "b t n d -> (b t n) d")[rows]
        tokens, changed, counts, weight = (x.flatten()[rows] for x in (tokens, changed, counts, counts * importance))
        logits = self.to_logits(features)
        losses = token_distance_cross_entropy(logits, tokens, self.codebook, c.tdce)
        loss = loss + (weight * losses).sum() / weight.sum().clamp(min=1)
        return loss, _totals(logits.detach(), tokens, changed, counts) | _frame_totals(outcomes, masks)

    @torch.no_grad()
    def noisy_features(self, batch: dict[str, Tensor], count: int) -> Tensor:
        """Return features float (b, m, n, d) of drafts of the last frames, m <= count, of a batch of `forward`.

        Drafts are masked as in training, and in training mode the past and the actions are as noisy as there.
        """
        past, past_masks = self._noisy_past(batch["tokens"])
        m = min(count, self._predicted(past))
        drafts = batch["tokens"][:, -m:].masked_fill(self._draft_masks(past_masks[:, -m:]), self.mask_token)
        return self.training_features(past[:, :-1], drafts, self._with_dropout(batch["actions"]))[0]

    def _predicted(self, past: Tensor) -> int:
        """Number of frames predicted of a clip (b, t, n): the first one cannot be."""
        return min(self.config.predicted_frames or past.shape[1], past.shape[1] - 1)

    def _draft_masks(self, past_masks: Tensor) -> Tensor:
        """Draw the masks (b, m, n) of drafts; a frame that is masked as past is masked as draft."""
        b, m, n = past_masks.shape
        return random_masks((b, m), n, self.config.fully_masked_share, past_masks.device) | past_masks

    def _counts(self, masks: Tensor, changed: Tensor) -> Tensor:
        """How often each token counts, float (b, t, n): masked ones once, some unchanged ones for others of them."""
        share = self.config.still_share
        if not self.training or share == 1:
            return masks.float()
        drawn = torch.rand(masks.shape, device=masks.device) < share
        return masks * torch.where(changed, 1.0, drawn / share)

    def _noisy_past(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The past as in a rollout, some tokens wrong, in some clips masked from a random frame on; and the masks."""
        b, t, n = tokens.shape
        c, device = self.config, tokens.device
        if not self.training:
            return tokens, torch.zeros_like(tokens, dtype=torch.bool)
        wrong = torch.rand(b, t, n, device=device) < torch.rand(b, 1, 1, device=device) * c.max_corruption
        past = torch.where(wrong, torch.randint(c.codes, tokens.shape, device=device), tokens)
        first = torch.randint(2, t + 1, (b, 1, 1), device=device)
        chosen = torch.rand(b, 1, 1, device=device) < c.masked_past_share
        masks = (chosen & (torch.arange(t, device=device)[:, None] >= first)).expand(b, t, n)
        return past.masked_fill(masks, self.mask_token), masks

    @torch.no_grad()
    def _with_own_predictions(self, past: Tensor, actions: Tensor, count: int) -> tuple[Tensor, Any]:
        """The past (b, t, n), its last `count` frames but the very last as a rollout predicts them, or masked still.

        Beside it stands the rollout's cache.
        """
        cache, frames = self.new_cache(len(past)), list(past.split(1, 1))
        temperature = self.config.rollout_temperature + (1 - self.config.rollout_temperature) * float(torch.rand(()))
        start, further = past.shape[1] - count, actions.shape[1] - past.shape[1]
        known, led = torch.cat(frames[:start], 1), actions[:, : further + start + 1]
        for i in range(start, past.shape[1] - 1):
            draft = torch.full_like(frames[i], self.mask_token)
            logits = self.to_logits(self.features(known, draft, led, cache))
            sampled = sample_tokens(logits, torch.rand(draft.shape, device=draft.device), temperature, 0.02)
            frames[i] = torch.where(past[:, i : i + 1] == self.mask_token, draft, sampled)
            known, led = frames[i], actions[:, further + i :][:, :2]
        return torch.cat(frames, 1), cache

    def _with_dropout(self, actions: Tensor) -> Tensor:
        if not self.training:
            return actions
        c, (b, t) = self.config, actions.shape
        first = torch.randint(t, (b, 1), device=actions.device)
        forgotten = torch.rand(b, 1, device=actions.device) < c.history_dropout
        forgotten = forgotten & (torch.arange(t, device=actions.device) < first)
        dropped = torch.rand(actions.shape, device=actions.device) < c.action_dropout
        return actions.masked_fill(dropped | forgotten, -1)


def _totals(logits: Tensor, tokens: Tensor, changed: Tensor, counts: Tensor) -> Totals:
    """Sums over tokens (m,) with logits (m, k), each counted so often."""
    moving = counts * changed
    correct = logits.argmax(-1) == tokens
    entropy = F.cross_entropy(logits.float(), tokens, reduction="none")
    return {
        "cross_entropy": ((entropy * counts).sum(), counts.sum()),
        "accuracy": ((correct * counts).sum(), counts.sum()),
        "accuracy_changed": ((correct * moving).sum(), moving.sum()),
    }


def _frame_totals(means: dict[str, Tensor], masks: Tensor) -> Totals:
    """Means over the frames of masks (b, t, n)."""
    frames = torch.tensor(masks[..., 0].numel())
    return {name: (mean * frames, frames) for name, mean in means.items()}
