"""GenieRedux-G dynamics: a space-time transformer that predicts masked tokens (section 4).

Shapes: b clips, t frames, n tokens a frame, d width, k codes, c width of a code.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genie_gym.models.kv_cache import Cache
from genie_gym.models.limits import check_sizes
from genie_gym.models.masked_prediction import MaskedPrediction, MaskedPredictionConfig, mixed_actions
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.models.transformer import Frames, SpaceTimeTransformer, TransformerConfig, with_drafts

__all__ = ["Dynamics", "DynamicsConfig"]


@dataclass(frozen=True)
class DynamicsConfig(MaskedPredictionConfig):
    """Sizes and ablations of the transformer dynamics, besides what every dynamics has.

    Attributes:
        dim, blocks, heads, side, window, feed_forwards: As in TransformerConfig.
        token_input: Whether the projected code is added to the embedding of each visible token, as in the paper.

    Raises:
        ConfigError: A value is out of range.
    """

    dim: int = 128
    blocks: int = 4
    heads: int = 4
    side: int = 8
    window: int = 8
    feed_forwards: int = 2
    token_input: bool = True

    def build(self) -> "Dynamics":
        """Return dynamics of these sizes, not yet trained."""
        return Dynamics(self)

    def __post_init__(self) -> None:
        check_sizes(self)
        _ = self.transformer  # has checks of its own

    @property
    def transformer(self) -> TransformerConfig:
        """Sizes of the transformer."""
        return TransformerConfig(
            self.dim,
            self.blocks,
            self.heads,
            self.side,
            self.window,
            feed_forwards=self.feed_forwards,
            num_actions=self.num_actions,
        )


class Dynamics(MaskedPrediction):
    """Masked prediction by a transformer with a cache of the past."""

    def __init__(self, config: DynamicsConfig):
        super().__init__(config)
        self.embed = nn.Embedding(config.codes + 1, config.dim)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.skip = nn.Linear(config.code_dim, config.dim, bias=False) if config.token_input else None
        self.transformer = SpaceTimeTransformer(config.transformer)
        self.to_logits = nn.Linear(config.dim, config.codes)
        self.heads = self.heads_of(config.dim)

    def adopt_codebook(self, tokenizer: Tokenizer) -> None:
        """Copy the tokenizer's codes, which token input and token distances need."""
        self.codebook.copy_(tokenizer.codebook.codes)

    def with_actions(self, mixture: Tensor) -> "Dynamics":
        """Return a copy for other actions, see `MaskedPrediction.with_actions`."""
        other = Dynamics(replace(self.config, num_actions=len(mixture)))
        weights = self.state_dict()
        mixed = {name: mixed_actions(weights[name], mixture) for name in self.action_weights()}
        other.load_state_dict(weights | mixed)
        return other.to(self.codebook.device).train(self.training)

    def action_weights(self) -> tuple[str, ...]:
        """Return the names of the weights that read actions."""
        return tuple(name for name, _ in self.named_parameters() if name.endswith(".action.weight"))

    def embeddings(self, tokens: Tensor) -> Tensor:
        """Return the embeddings (..., n, d) of tokens int64 (..., n), `mask_token` where masked."""
        x = self.embed(tokens)
        if self.skip is None:
            return x
        codes = F.pad(self.codebook, (0, 0, 0, 1))  # the mask token has no code to add
        return x + self.skip(codes[tokens])

    def new_cache(self, batch: int) -> Cache:
        """Return an empty cache for `batch` rollouts."""
        return self.transformer.new_cache(batch)

    def draft_features(self, past: Tensor, drafts: Tensor, actions: Tensor) -> Tensor:
        """Return features of drafts, see `MaskedPrediction`."""
        return self.transformer(with_drafts(self.embeddings(past), self.embeddings(drafts), self.one_hot(actions)))

    def features(self, past: Tensor, drafts: Tensor, actions: Tensor, cache: Cache | None = None) -> Tensor:
        """Return features of the draft, or of the history if there is no draft.

        Args:
            past: History, int64 (b, t, n), which is appended to the cache; t may be 0.
            drafts: int64 (b, m, n): m = 1, the frame after the history, or m = 0.
            actions: int64 (b, t + m), the action that led to each frame, -1 for none.
            cache: Cache of the frames before these.

        Returns:
            float (b, 1, n, d), or (b, t, n, d) if m = 0.
        """
        tokens = torch.cat([past, drafts], 1)
        frames = Frames(self.embeddings(tokens), past.shape[1], self.one_hot(actions))
        return self.transformer(frames, cache)
