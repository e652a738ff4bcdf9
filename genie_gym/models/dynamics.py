"""GenieRedux-G dynamics: masked prediction of the next frame's tokens from the past and the true action (section 4).

Shapes: b clips, t frames, n tokens a frame, d width, k codes, c width of a code.

This is the *unshifted* form of MaskGIT: the frame to be predicted is in the input, hidden, together with the action
that leads to it, so several sampling steps refine one another. (The authors' released code is shifted: there slot t
holds frame t and predicts t + 1, and all sampling steps of a single frame see the same input.)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genie_gym.models.cache import Cache
from genie_gym.models.heads import OutcomeHeads
from genie_gym.models.maskgit import random_masks
from genie_gym.models.transformer import Frames, SpaceTimeTransformer, TransformerConfig, with_drafts
from genie_gym.precision import exactly

__all__ = ["Dynamics", "DynamicsConfig", "token_distance_cross_entropy"]

Totals = dict[str, tuple[Tensor, Tensor]]  # sums, and the numbers of what was summed


@dataclass(frozen=True)
class DynamicsConfig:
    """Sizes, ablations and training noise of the dynamics.

    Attributes:
        actions: number of discrete actions.
        dim, blocks, heads, side, window, feeds: as in TransformerConfig.
        codes, code_dim: of the tokenizer's codebook.
        token_input: add the projected code to the embedding of each visible token (the paper's token input).
        tdce: weight of the token distance term of equation 1; 0 leaves plain cross-entropy.
        changed: extra weight in the loss of tokens whose pixels changed since the previous frame.
        corrupt: largest share of past tokens replaced at random in training, so that a dream survives its own errors.
        blind: share of clips trained with a hidden past after some frame, for predicting several frames in one pass.
        full: share of frames trained with all tokens hidden, as they are in the first sampling step.
        drop_action: share of actions replaced by none, for prompts that come without actions.
        outcome: weight of the reward and end losses.
    """

    actions: int
    dim: int = 128
    blocks: int = 4
    heads: int = 4
    side: int = 8
    window: int = 8
    feeds: int = 2
    codes: int = 1024
    code_dim: int = 32
    token_input: bool = True
    tdce: float = 1.0
    changed: float = 4.0
    corrupt: float = 0.1
    blind: float = 0.15
    full: float = 0.5
    drop_action: float = 0.05
    outcome: float = 1.0

    @property
    def transformer(self) -> TransformerConfig:
        return TransformerConfig(
            self.dim, self.blocks, self.heads, self.side, self.window, feeds=self.feeds, actions=self.actions
        )


def token_distance_cross_entropy(logits: Tensor, target: Tensor, codes: Tensor, weight: float = 1.0) -> Tensor:
    """Equation 1: (y^T K) softmax(x) + CE(x, y), for each token, K the cosine distances between codes.

    With K = 1 - C C^T the first term is 1 - c_y (softmax(x) C): the distance to the code that is expected, which needs
    no row of K for each token.

    Args:
        logits: float (..., k).
        target: int64 (...).
        codes: float (k, c), rows of length 1: C.
        weight: factor of the distance term.

    Returns:
        float (...).
    """
    log_probabilities = logits.float().log_softmax(-1)
    entropy = -log_probabilities.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    if weight == 0:
        return entropy
    with exactly(logits.device):
        expected = log_probabilities.exp() @ codes
    return entropy + weight * (1 - (codes[target] * expected).sum(-1))


class Dynamics(nn.Module):
    """Predicts the codes of hidden tokens; also reward and end of the step that led to each frame."""

    codebook: Tensor

    def __init__(self, config: DynamicsConfig):
        super().__init__()
        self.config = config
        self.hidden = config.codes  # the token that stands for "not yet known"
        self.embed = nn.Embedding(config.codes + 1, config.dim)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.skip = nn.Linear(config.code_dim, config.dim, bias=False) if config.token_input else None
        self.transformer = SpaceTimeTransformer(config.transformer)
        self.to_logits = nn.Linear(config.dim, config.codes)
        self.heads = OutcomeHeads(config.dim)
        self.register_buffer("codebook", torch.zeros(config.codes, config.code_dim))

    def adopt_codebook(self, codes: Tensor) -> None:
        """Copies the tokenizer's unit codes (k, c), which token input and TDCE measure with."""
        self.codebook.copy_(codes)

    def embeddings(self, tokens: Tensor) -> Tensor:
        """Tokens int64 (..., n), `self.hidden` where not known, to float (..., n, d)."""
        x = self.embed(tokens)
        if self.skip is None:
            return x
        codes = F.pad(self.codebook, (0, 0, 0, 1))  # the hidden token has no content to add
        return x + self.skip(codes[tokens])

    def one_hot(self, actions: Tensor) -> Tensor:
        """Actions int64 (...), -1 for none, to float (..., actions); zeros for none."""
        known = actions >= 0
        return F.one_hot(actions.clamp(min=0), self.config.actions).to(self.embed.weight.dtype) * known.unsqueeze(-1)

    def features(self, past: Tensor, drafts: Tensor, actions: Tensor, cache: Cache | None = None) -> Tensor:
        """Features of the draft, or of the history where there is no draft.

        Args:
            past: int64 (b, t, n), history (any t, also 0), to be appended to the cache.
            drafts: int64 (b, m, n): m = 1, the frame after the history, or m = 0.
            actions: int64 (b, t + m), the action that led to each frame, -1 for none.
            cache: frames before these.

        Returns:
            float (b, 1, n, d), or (b, t, n, d) where m = 0.
        """
        tokens = torch.cat([past, drafts], 1)
        frames = Frames(self.embeddings(tokens), past.shape[1], self.one_hot(actions))
        return self.transformer(frames, cache)

    def next_logits(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """What the model expects of each frame but the first given the real frames before it, in one pass.

        Args:
            tokens: int64 (b, t, n).
            actions: int64 (b, t), the action that led to each frame, -1 for none.

        Returns:
            float (b, t - 1, n, k).
        """
        past = tokens[:, :-1]
        hidden = self.embeddings(torch.full_like(past, self.hidden))
        features = self.transformer(with_drafts(self.embeddings(past), hidden, self.one_hot(actions)))
        return self.to_logits(features)

    def next_frames(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """The likeliest tokens int64 (b, t, n) of each frame by `next_logits`; the first frame is kept."""
        predicted = self.next_logits(tokens, actions).argmax(-1)
        return torch.cat([tokens[:, :1], predicted], 1)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss on the hidden tokens of a draft of every frame but the first, and on rewards and ends.

        Args:
            batch: "tokens" int64 (b, t, n); "actions" int64 (b, t), the action that led to each frame, -1 for none;
                "rewards" float (b, t); "ends" bool (b, t); "changed" bool (b, t, n), tokens over changed pixels.

        Returns:
            scalar loss and scalars "cross_entropy", "accuracy", "accuracy_changed", "reward", "end".
        """
        loss, totals = self.loss_and_totals(batch)
        return loss, {name: total / count.clamp(min=1) for name, (total, count) in totals.items()}

    def loss_and_totals(self, batch: dict[str, Tensor]) -> tuple[Tensor, Totals]:
        """As `forward`, but each figure as a sum and the number of tokens or frames in it.

        Batches hold different numbers of hidden and of changed tokens: a figure over many of them is the sum of the
        sums over that of the numbers, not the mean of the means.
        """
        past, blind = self._noisy_past(batch["tokens"])
        # There is nothing to predict the first frame from, and nothing that the last one is the past of.
        tokens, rewards, ends, changed = (batch[name][:, 1:] for name in ("tokens", "rewards", "ends", "changed"))
        masks = random_masks(tokens.shape[:2], tokens.shape[2], self.config.full, tokens.device)
        masks = masks | blind[:, 1:]  # where the past is hidden, so is the frame
        actions = self._dropped(batch["actions"])
        drafts = tokens.masked_fill(masks, self.hidden)
        frames = with_drafts(self.embeddings(past[:, :-1]), self.embeddings(drafts), self.one_hot(actions))
        features = self.transformer(frames)
        logits = self.to_logits(features)
        losses = token_distance_cross_entropy(logits, tokens, self.codebook, self.config.tdce)
        weight = (masks * (1 + self.config.changed * changed)).float()
        reward, end = self.heads.loss(features, rewards, ends)
        loss = (weight * losses).sum() / weight.sum().clamp(min=1) + self.config.outcome * (reward + end)
        return loss, self._scores(logits.detach(), tokens, masks, changed, reward, end)

    def _noisy_past(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The past as a dream has it: a share of tokens wrong; in some clips hidden from a random frame on."""
        b, t, n = tokens.shape
        c, device = self.config, tokens.device
        if not self.training:
            return tokens, torch.zeros_like(tokens, dtype=torch.bool)
        wrong = torch.rand(b, t, n, device=device) < torch.rand(b, 1, 1, device=device) * c.corrupt
        past = torch.where(wrong, torch.randint(c.codes, tokens.shape, device=device), tokens)
        first = torch.randint(2, t + 1, (b, 1, 1), device=device)
        blind = (torch.rand(b, 1, 1, device=device) < c.blind) & (torch.arange(t, device=device)[:, None] >= first)
        blind = blind.expand(b, t, n)
        return past.masked_fill(blind, self.hidden), blind

    def _dropped(self, actions: Tensor) -> Tensor:
        if not self.training:
            return actions
        return actions.masked_fill(torch.rand(actions.shape, device=actions.device) < self.config.drop_action, -1)

    @staticmethod
    def _scores(logits: Tensor, tokens: Tensor, hidden: Tensor, changed: Tensor, reward: Tensor, end: Tensor) -> Totals:
        moving = hidden & changed
        right = logits.argmax(-1) == tokens
        entropy = F.cross_entropy(rearrange(logits, "b t n k -> (b t n) k").float(), tokens.flatten(), reduction="none")
        frames = torch.tensor(tokens[..., 0].numel())
        return {
            "cross_entropy": ((entropy * hidden.flatten()).sum(), hidden.sum()),
            "accuracy": ((right & hidden).sum(), hidden.sum()),
            "accuracy_changed": ((right & moving).sum(), moving.sum()),
            "reward": (reward.detach() * frames, frames),
            "end": (end.detach() * frames, frames),
        }
