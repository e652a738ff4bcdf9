"""Convolutional dynamics: masked prediction of the next frame from the last few, for small budgets.

Convolutions see a picture alike wherever it stands, so a level that scrolls is learned from thousands of frames where a
transformer with positions needs millions. The network first guesses the next frame: the last one, shifted copies of it
(by whole and part pixels, as Finn et al. 2016), blocks that move by themselves, and painted pixels, blended. The codes
nearest to that guess are its first prediction of the tokens, which a second, smaller network corrects, given those
tokens that are already unmasked. So it starts out by repeating the last frame, and has only to learn what changes. How
things moved is no part of what it must find out: it is told how well shifts of the frame before match the last one,
everywhere and in each place (a cost volume, as in networks for optical flow), and how the camera moved in the last
steps. Speeds below a pixel a step do not show in tokens, so of frames that it predicted itself it remembers the motion
that it meant.

Shapes: b clips, t frames, h frames and l actions of history that a prediction sees, n = side * side tokens a frame,
k codes, c width of a code, p pixels of a patch, w width of the features, r of the memory, s side of a frame in pixels.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from genie_gym.errors import ConfigError
from genie_gym.models.conv.cache import FrameCache
from genie_gym.models.conv.guess import FrameGuess, camera_loss, expected_motion
from genie_gym.models.conv.layers import ATTENTION_HEADS, Attention, Conv, GatedMemory, Residual, patches_of, pixels_of
from genie_gym.models.conv.matching import MATCHED_PAIRS, SHIFTS, agreed, lagging, matches
from genie_gym.models.conv.tokenizer import ConvTokenizer
from genie_gym.models.limits import check_sizes, check_weights
from genie_gym.models.masked_prediction import MaskedPrediction, MaskedPredictionConfig, mixed_actions
from genie_gym.utils.precision import full_precision

__all__ = ["ConvDynamics", "ConvDynamicsConfig"]

ACTION_DIM = 128
READ_ACTIONS = ("act.weight", "memory.act.weight", "motion.from_buttons.0.weight")
CONFIDENCE = 2.0  # how far a token's confidence lies from that of all, as a logarithm
IMPOSSIBLE = -30.0  # a logit
FAINTEST = -80.0  # below it exp is subnormal, and ten times slower
EXACT = 8.0  # in rich pictures nearly all codes lie half a squared distance of 1 or more from any other
CAMERA_STEPS = 8  # of the camera's motion that a prediction knows


@dataclass(frozen=True)
class ConvDynamicsConfig(MaskedPredictionConfig):
    """Sizes of the convolutional dynamics, besides what every dynamics has.

    Attributes:
        side: Tokens along one edge of a frame.
        patch: Side of a patch in pixels.
        window: Frames of history that a prediction sees.
        action_window: Actions of history that a prediction knows, at least `window`: how fast a character runs depends
            on buttons pressed long before the frames that show it.
        memory_dim: Channels of the memory at the tokens' resolution.
        dim: Channels at the tokens' resolution.
        coarse_dim: Channels at half that resolution, where distant parts of the picture meet.
        fine_blocks: Residual blocks at the tokens' resolution, before and again after the coarse ones.
        coarse_blocks: Residual blocks at half that resolution.
        draft_blocks: Residual blocks of the part that corrects the guess, which runs in every sampling step.
        shifts: Shifted copies of the last frame that the guess is blended from.
        reach: Furthest shift in pixels.
        local_motion: Whether blocks of 2x2 pixels may also move by themselves, which starts as they moved before.
        guess_weight: Weight of the guess's squared error.
        camera_weight: Weight of the camera's motion, which the first of the shifted copies has to follow.

    Raises:
        ConfigError: A value is out of range.
    """

    code_dim: int = 48
    tdce: float = 0.0  # codes are no unit vectors here
    side: int = 16
    patch: int = 4
    window: int = 4
    action_window: int = 16
    memory_dim: int = 32
    dim: int = 80
    coarse_dim: int = 128
    fine_blocks: int = 1
    coarse_blocks: int = 3
    draft_blocks: int = 1
    shifts: int = 6
    reach: int = 6
    local_motion: bool = True
    guess_weight: float = 3.0
    camera_weight: float = 1.0

    def __post_init__(self) -> None:
        check_sizes(self)
        blocks = 2 * self.fine_blocks + self.coarse_blocks + self.draft_blocks
        check_weights(max(self.dim, self.coarse_dim), blocks, 18)
        if self.action_window < self.window:
            got = f"{self.action_window} and {self.window}"
            raise ConfigError(f"action_window must be at least window; got {got}")
        if self.side % 2 or self.coarse_dim % ATTENTION_HEADS:
            got = f"{self.side} and {self.coarse_dim}"
            raise ConfigError(f"side must be even, and coarse_dim a multiple of {ATTENTION_HEADS}; got {got}")

    def build(self) -> "ConvDynamics":
        """Return dynamics of these sizes, not yet trained."""
        return ConvDynamics(self)


class ConvDynamics(MaskedPrediction):
    """Masked prediction by convolutions over the last few frames."""

    patches: Tensor
    to_code: Tensor
    code_offset: Tensor

    def __init__(self, config: ConvDynamicsConfig):
        super().__init__(config)
        c, pixels = config, 3 * config.patch**2
        self.act = nn.Linear(c.action_window * c.num_actions, ACTION_DIM)
        self.moved = nn.Linear(MATCHED_PAIRS * SHIFTS + 3 * CAMERA_STEPS, ACTION_DIM)
        self.stem = Conv(c.window * (pixels + 1) + SHIFTS, c.dim)
        self.memory = GatedMemory(c.dim, c.memory_dim, c.num_actions)
        self.recall = Conv(c.memory_dim, c.dim, zero=True)
        self.position = nn.Parameter(torch.randn(c.dim, c.side, c.side) * 0.02)
        self.before = nn.ModuleList(Residual(c.dim, ACTION_DIM) for _ in range(c.fine_blocks))
        self.down = Conv(c.dim, c.coarse_dim, 2, stride=2)
        self.coarse_norm = nn.GroupNorm(1, c.coarse_dim)  # beside large features the blocks' share would be none
        self.coarse = nn.ModuleList(Residual(c.coarse_dim, ACTION_DIM) for _ in range(c.coarse_blocks))
        self.attention = Attention(c.coarse_dim, c.side // 2)
        self.up = Conv(c.coarse_dim, c.dim, 1)
        self.after = nn.ModuleList(Residual(c.dim, ACTION_DIM) for _ in range(c.fine_blocks))
        self.motion = FrameGuess(
            size=c.side * c.patch,
            patch=c.patch,
            fine=c.dim,
            coarse=c.coarse_dim,
            action=ACTION_DIM,
            told=c.action_window * c.num_actions + 3 * CAMERA_STEPS,
            shifts=c.shifts,
            reach=c.reach,
            local_motion=c.local_motion,
        )
        self.mask_code = nn.Parameter(torch.randn(c.code_dim) * 0.5)
        self.join = Conv(c.dim + 2 * c.code_dim + 1, c.dim, 1)
        self.draft = nn.ModuleList(Residual(c.dim) for _ in range(c.draft_blocks))
        self.correction = nn.Linear(c.dim, c.code_dim)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        self.sharpness = nn.Parameter(torch.zeros(()))
        self.confidence = nn.Linear(c.dim, 1)  # what rests is far surer than what comes into view
        self.exactness = nn.Linear(c.dim, 1)  # how far a code counts that is the guess itself, as where nothing moves
        for layer in (self.confidence, self.exactness):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.bias = nn.Parameter(torch.zeros(c.codes))
        self.heads = self.heads_of(c.dim + c.code_dim)
        self.register_buffer("patches", torch.zeros(c.codes, pixels))
        self.register_buffer("to_code", torch.zeros(pixels, c.code_dim))
        self.register_buffer("code_offset", torch.zeros(c.code_dim))

    @torch.no_grad()
    def adopt_codebook(self, tokenizer: ConvTokenizer) -> None:
        """Copy the tokenizer's codes, the pixels they stand for, and the linear map that leads back from those.

        Codes that were merged into others are as good as impossible.
        """
        self.codebook.copy_(tokenizer.codebook.codes)
        self.bias.masked_fill_(tokenizer.codebook.usage == 0, IMPOSSIBLE)
        self.patches.copy_(tokenizer.linear_patches())
        ones = torch.ones(len(self.patches), 1, device=self.patches.device)
        solution = torch.linalg.lstsq(torch.cat([self.patches, ones], 1).cpu(), self.codebook.cpu()).solution
        self.to_code.copy_(solution[:-1])
        self.code_offset.copy_(solution[-1])

    def with_actions(self, mixture: Tensor) -> "ConvDynamics":
        """Return a copy for other actions, see `MaskedPrediction.with_actions`."""
        other = ConvDynamics(replace(self.config, num_actions=len(mixture)))
        steps, weights = self.config.action_window, self.state_dict()
        mixed = {name: mixed_actions(weights[name], mixture, 1 if "memory" in name else steps) for name in READ_ACTIONS}
        other.load_state_dict(weights | mixed)
        return other.to(self.codebook.device).train(self.training)

    def action_weights(self) -> tuple[str, ...]:
        """Return the names of the weights that read actions."""
        return READ_ACTIONS

    def new_cache(self, batch: int) -> FrameCache:
        """Return an empty cache for `batch` rollouts."""
        c, device = self.config, self.codebook.device
        n = c.side**2
        return FrameCache(
            tokens=torch.zeros(batch, c.window, n, dtype=torch.int64, device=device),
            hidden=torch.ones(batch, c.window, dtype=torch.bool, device=device),
            actions=torch.full((batch, c.action_window), -1, device=device),
            count=torch.zeros(batch, dtype=torch.int64, device=device),
            memory=torch.zeros(batch, c.memory_dim, c.side, c.side, device=device),
            camera=torch.zeros(batch, CAMERA_STEPS, 3, device=device),
            lag=torch.zeros(batch, 2, device=device),
            meant=torch.zeros(batch, 3, device=device),
            context=torch.zeros(batch, c.dim, c.side, c.side, device=device),
            guess=torch.zeros(batch, n, c.code_dim, device=device),
        )

    def draft_features(self, past: Tensor, drafts: Tensor, actions: Tensor) -> Tensor:
        """Return features of drafts, see `MaskedPrediction`."""
        return self.training_features(past, drafts, actions)[0]

    def training_features(
        self, past: Tensor, drafts: Tensor, actions: Tensor, cache: FrameCache | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features of drafts, and logits float (b, m, 2, offsets) of the camera's motion down and right.

        Arguments are those of `MaskedPrediction.draft_features`; further actions at the front lie before the past. A
        cache is of the rollout that predicted the end of the past, up to its last frame: how the camera was meant to
        move.
        """
        (b, t, _), m = past.shape, drafts.shape[1]
        hidden = (past == self.mask_token).all(-1)
        steps = torch.arange(t, device=past.device)
        shown = torch.where(hidden, 0, steps).cummax(1).values  # the newest frame that is not masked
        tokens = past[torch.arange(b, device=past.device)[:, None, None], _latest(shown, self.config.window, 0)]
        masked = _latest(hidden, self.config.window, True)
        sights = self.look(rearrange(tokens, "b t h n -> (b t) h n"), rearrange(masked, "b t h -> (b t) h"))
        seen, wholes, measured, frames = (rearrange(x, "(b t) ... -> b t ...", b=b) for x in sights)
        camera = measured if cache is None else agreed(measured, cache.recent_motion(t))
        lag, lags = camera.new_zeros(b, 2), []
        for i in range(t):
            lags.append(lag := lagging(lag, camera[:, i], measured[:, i]))
        memories = self._memories(seen, actions[:, -t - 1 : -1])
        led, cameras = _latest(actions, self.config.action_window, -1), _latest(camera, CAMERA_STEPS, 0)
        sight = tuple(rearrange(x[:, -m:], "b m ... -> (b m) ...") for x in (seen, wholes, measured, frames))
        context, guess, motion = self.context(
            sight,
            rearrange(memories[:, -m:], "b m ... -> (b m) ..."),
            rearrange(cameras[:, -m:], "b m j i -> (b m) j i"),
            rearrange(torch.stack(lags[-m:], 1), "b m i -> (b m) i"),
            rearrange(led[:, -m:], "b m l -> (b m) l"),
        )
        features = self.refine(context, guess, rearrange(drafts, "b m n -> (b m) n"))
        return rearrange(features, "(b m) n d -> b m n d", b=b), rearrange(motion, "(b m) i o -> b m i o", b=b)

    def _memories(self, seen: Tensor, actions: Tensor) -> Tensor:
        """Memories (b, t, r, side, side) after each of the frames (b, t, w, side, side) that actions (b, t) led to."""
        memory = seen.new_zeros(len(seen), self.config.memory_dim, *seen.shape[-2:])
        memories = []
        for i in range(seen.shape[1]):
            memory = self.memory(memory, seen[:, i], self.one_hot(actions[:, i]))
            memories.append(memory)
        return torch.stack(memories, 1)

    def features(self, past: Tensor, drafts: Tensor, actions: Tensor, cache: FrameCache | None = None) -> Tensor:
        """Return features of the draft.

        Args:
            past: History, int64 (b, t, n), which is appended to the cache; t may be 0, for a further pass over the same
                draft with the same action.
            drafts: int64 (b, m, n): m = 1, the frame after the history, or m = 0.
            actions: int64 (b, t + m), the action that led to each frame, -1 for none. Further ones at the front lie
                before the history, which must be the first.
            cache: Cache of the frames before these.

        Returns:
            float (b, m, n, w + c).
        """
        cache, c, t = cache or self.new_cache(len(past)), self.config, past.shape[1]
        hidden = (past == self.mask_token).all(-1)
        further = actions.shape[1] - t - drafts.shape[1]
        if further:
            cache.actions.copy_(torch.cat([cache.actions, actions[:, :further]], 1)[:, further:])
        sight: tuple[Tensor, ...] = ()
        for i in range(t):
            cache.append(past[:, i], hidden[:, i], actions[:, further + i])
            sight = self.look(cache.tokens, cache.hidden)
            newest = agreed(sight[2], cache.meant).masked_fill(hidden[:, i, None], 0)
            cache.lag.copy_(lagging(cache.lag, newest, sight[2]))
            cache.camera.copy_(torch.cat([cache.camera[:, 1:], newest[:, None]], 1))
            cache.meant.zero_()
            cache.memory.copy_(self.memory(cache.memory, sight[0], self.one_hot(cache.actions[:, -1])))
        if not drafts.shape[1]:
            return self.codebook.new_zeros(len(past), 0, c.side**2, c.dim + c.code_dim)
        if t:
            recent = torch.cat([cache.actions[:, 1:], actions[:, -1:]], 1)
            context, guess, motion = self.context(sight, cache.memory, cache.camera, cache.lag, recent)
            cache.meant.copy_(expected_motion(motion))
            cache.context.copy_(context)
            cache.guess.copy_(guess)
        return self.refine(cache.context, cache.guess, drafts[:, 0])[:, None]

    def look(self, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        """Return what is seen in the last frames.

        Args:
            tokens: int64 (b, h, n).
            hidden: bool (b, h), which of them are masked.

        Returns:
            Features (b, w, side, side), how well shifts match whole frames (b, pairs * shifts), the camera's motion
            between the last two (b, 3), and these two (b, 2, 3, s, s).
        """
        c = self.config
        patches = rearrange(self.patches[tokens], "b h (y x) p -> b h p y x", y=c.side)
        flags = repeat(hidden.to(patches.dtype), "b h -> b h y x", y=c.side, x=c.side)
        frames = pixels_of(patches, c.patch)
        wholes, places, camera = matches(frames, c.patch)
        camera = camera.masked_fill(hidden[:, -2:].any(1, keepdim=True), 0)
        seen = [rearrange(patches - 0.5, "b h p y x -> b (h p) y x"), flags, places]
        return self.stem(torch.cat(seen, 1)) + self.position, wholes, camera, frames[:, -2:]

    def context(
        self, sight: tuple[Tensor, ...], memory: Tensor, camera: Tensor, lag: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is known of a frame before any of its tokens.

        Args:
            sight: What `look` returned.
            memory: float (b, r, side, side).
            camera: float (b, j, 3), its motion in the last steps.
            lag: float (b, 2), how far the newest frame stays behind it.
            actions: int64 (b, l), the last actions; the last of all leads to the frame.

        Returns:
            Features (b, w, side, side), the encoding of the guessed frame (b, n, c), and logits of the camera's motion
            (b, 2, offsets).
        """
        seen, wholes, _, pair = sight
        buttons = rearrange(self.one_hot(actions), "b l a -> b (l a)")
        cameras = rearrange(camera, "b j i -> b (j i)")
        action = F.silu(self.act(buttons) + self.moved(torch.cat([wholes, cameras], 1)))
        x = seen + self.recall(memory)
        for block in self.before:
            x = block(x, action)
        coarse = self.attention(self.coarse_norm(self.down(x)))
        for block in self.coarse:
            coarse = block(coarse, action)
        x = x + F.interpolate(self.up(coarse), scale_factor=2.0)
        for block in self.after:
            x = block(x, action)
        frame, motion = self.motion(pair, lag, camera[:, -1], torch.cat([buttons, cameras], 1), action, coarse, x)
        with full_precision(frame.device):
            guess = rearrange(patches_of(frame.float(), self.config.patch), "b p y x -> b (y x) p") @ self.to_code
        return x, guess + self.code_offset, motion

    def refine(self, context: Tensor, guess: Tensor, drafts: Tensor) -> Tensor:
        """Return features (b, n, w + c) of drafts (b, n), given `context`; the last c are the guess's encoding."""
        masked = drafts == self.mask_token
        codes = torch.cat([self.codebook, self.mask_code[None]])[drafts]
        inputs = torch.cat([guess, codes, masked.to(guess.dtype)[..., None]], -1)
        inputs = rearrange(inputs, "b (y x) c -> b c y x", y=self.config.side)
        x = self.join(torch.cat([context, inputs], 1))
        for block in self.draft:
            x = block(x)
        return torch.cat([rearrange(x, "b w y x -> b (y x) w"), guess], -1)

    def to_logits(self, features: Tensor) -> Tensor:  # type: ignore[override]
        """Return logits (..., n, k) of features (..., n, w + c): scaled, minus half the squared distance to codes.

        A code that is the guess itself has a logit besides: many codes lie close together, and of those around it
        some are so much more frequent that what rests would not stay as it is.
        """
        own, guess = features.split([self.config.dim, self.config.code_dim], -1)
        query, guess = (guess + self.correction(own)).float(), guess.float()
        scale = (self.sharpness + CONFIDENCE * self.confidence(own).float().tanh()).exp()
        # Sums and scales are part of the products: passes over all codes of all tokens take longer than these do.
        with full_precision(query.device):
            lengths = 0.5 * self.codebook.square().sum(-1, keepdim=True)  # (k, 1)
            ones, half = torch.ones_like(lengths), 0.5 * guess.square().sum(-1, keepdim=True)
            logits = F.linear(torch.cat([scale * query, scale], -1), torch.cat([self.codebook, -lengths], 1), self.bias)
            apart = F.linear(torch.cat([guess, half], -1), torch.cat([-self.codebook, ones], 1), lengths[:, 0])
        exact = apart.mul_(-EXACT).clamp_(min=FAINTEST).exp_()
        return logits.addcmul_(exact, self.exactness(own).float())

    def auxiliary_loss(
        self, features: Tensor, tokens: Tensor, weight: Tensor, motion: Tensor | None, camera: Tensor | None
    ) -> Tensor:
        """Return the losses of guess and camera, which teach motion faster than cross-entropy alone does.

        They are the guess's squared distance to the codes, and the cross-entropy of the camera's motion.
        """
        guess = features[..., self.config.dim :]
        error = (guess - self.codebook[tokens]).square().mean(-1)
        loss = self.config.guess_weight * (weight * error).mean()
        if motion is None or camera is None:
            return loss
        return loss + self.config.camera_weight * camera_loss(motion, camera, self.config.reach)


def _latest(values: Tensor, count: int, before: float) -> Tensor:
    """Of values (b, t, ...) the `count` up to each place, with it: (b, t, count, ...); `before` is before the first."""
    missing = values.new_full((len(values), count - 1, *values.shape[2:]), before)
    return torch.cat([missing, values], 1).unfold(1, count, 1).movedim(-1, 2)
