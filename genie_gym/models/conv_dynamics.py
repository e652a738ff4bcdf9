"""Convolutional dynamics: masked prediction of the next frame from the last few, for small budgets.

Convolutions see a picture alike wherever it stands, so a level that scrolls is learned from thousands of frames where a
transformer with positions needs millions. The network first guesses the next frame: the last one, shifted copies of it
(by whole and part pixels, as Finn et al. 2016), and newly painted pixels, blended pixel by pixel. The codes nearest to
that guess are its first prediction of the tokens, which a second, smaller network corrects, given those tokens that are
already unmasked. So it starts out by repeating the last frame, and has only to learn what changes. How things moved is
no part of what it must find out: it is told how well shifts of the frame before match the last one, everywhere and in
each place (a cost volume, as in networks for optical flow), and how the camera moved in the last steps. Speeds below a
pixel a step do not show in tokens, so of frames that it predicted itself it remembers the motion that it meant.

Shapes: b clips, t frames, h frames and l actions of history that a prediction sees, n = side * side tokens a frame,
k codes, c width of a code, p pixels of a patch, w width of the features, r of the memory, s side of a frame in pixels.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce, repeat
from torch import Tensor, nn

from genie_gym.errors import ConfigError
from genie_gym.models.conv import Conv, Residual, patches_of, pixels_of
from genie_gym.models.conv_tokenizer import ConvTokenizer
from genie_gym.models.heads import OutcomeHeads
from genie_gym.models.limits import check_sizes, check_weights
from genie_gym.models.masked_prediction import MaskedPrediction, MaskedPredictionConfig
from genie_gym.utils.precision import full_precision

__all__ = ["ConvDynamics", "ConvDynamicsConfig", "FrameCache"]

ATTENTION_HEADS, ACTION_DIM = 4, 128
READ_ACTIONS = ("act.weight", "memory.act.weight")
MATCH_REACH, MATCHED_PAIRS = 4, 2  # furthest shift in pixels that is matched; pairs of frames matched as wholes
SHIFTS = (MATCH_REACH + 1) * (2 * MATCH_REACH + 1)  # every other one down, all to the right
CAMERA_STEPS = 8  # of the camera's motion that a prediction knows
MISMATCH, WHOLE_MISMATCH = 0.05, 0.02  # difference in brightness at which a match is a third of a perfect one
SHARPNESS, NO_MATCH = 0.05, 0.05  # likewise, as a share of the mean, to tell a motion; and beyond which there is none


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
    guess_weight: float = 3.0
    camera_weight: float = 0.3

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


@dataclass
class FrameCache:
    """The last frames of b rollouts, and what the network made of them. Tensors are written into, never replaced.

    Attributes:
        tokens: int64 (b, h, n), oldest first.
        hidden: bool (b, h), frames that are masked or before the first; their tokens are those of the frame before.
        actions: int64 (b, l), the last actions, oldest first; the last h led to those frames.
        count: int64 (b,), frames appended so far.
        memory: float (b, r, side, side), after the newest frame.
        camera: float (b, j, 3), the camera's motion in the last steps, oldest first, see `_motion_between`.
        meant: float (b, 3), that of the frame last predicted, which is not appended yet.
        context: float (b, w, side, side), of the newest action.
        guess: float (b, n, c), the encoding of the guessed next frame.
    """

    tokens: Tensor
    hidden: Tensor
    actions: Tensor
    count: Tensor
    memory: Tensor
    camera: Tensor
    meant: Tensor
    context: Tensor
    guess: Tensor

    def append(self, tokens: Tensor, hidden: Tensor, actions: Tensor) -> None:
        """Append a frame: tokens int64 (b, n), hidden bool (b,), actions int64 (b,)."""
        kept = torch.where(hidden[:, None], self.tokens[:, -1], tokens)
        first = (self.count == 0)[:, None, None]  # before the first frame there is only itself
        self.tokens.copy_(torch.cat([torch.where(first, kept[:, None], self.tokens[:, 1:]), kept[:, None]], 1))
        self.hidden.copy_(torch.cat([self.hidden[:, 1:], hidden[:, None]], 1))
        self.actions.copy_(torch.cat([self.actions[:, 1:], actions[:, None]], 1))
        self.count += 1

    def put(self, rows: Tensor, other: "FrameCache") -> None:
        """Overwrite the given rows, int64 (k,), with another cache of k rollouts."""
        for name, mine in vars(self).items():
            mine[rows] = getattr(other, name)

    def take(self, rows: Tensor) -> "FrameCache":
        """Return a cache of the given rows, int64 (k,), each as often as it is named; it shares no memory with this."""
        return FrameCache(**{name: mine.index_select(0, rows) for name, mine in vars(self).items()})


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
        self.memory = _Memory(c.dim, c.memory_dim, c.num_actions)
        self.recall = Conv(c.memory_dim, c.dim, zero=True)
        self.position = nn.Parameter(torch.randn(c.dim, c.side, c.side) * 0.02)
        self.before = nn.ModuleList(Residual(c.dim, ACTION_DIM) for _ in range(c.fine_blocks))
        self.down = Conv(c.dim, c.coarse_dim, 2, stride=2)
        self.coarse = nn.ModuleList(Residual(c.coarse_dim, ACTION_DIM) for _ in range(c.coarse_blocks))
        self.attention = _Attention(c.coarse_dim, c.side // 2)
        self.up = Conv(c.coarse_dim, c.dim, 1)
        self.after = nn.ModuleList(Residual(c.dim, ACTION_DIM) for _ in range(c.fine_blocks))
        self.motion = _Motion(c)
        self.mask_code = nn.Parameter(torch.randn(c.code_dim) * 0.5)
        self.join = Conv(c.dim + 2 * c.code_dim + 1, c.dim, 1)
        self.draft = nn.ModuleList(Residual(c.dim) for _ in range(c.draft_blocks))
        self.correction = nn.Linear(c.dim, c.code_dim)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)
        self.sharpness = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(c.codes))
        self.heads = OutcomeHeads(c.dim + c.code_dim)
        self.register_buffer("patches", torch.zeros(c.codes, pixels))
        self.register_buffer("to_code", torch.zeros(pixels, c.code_dim))
        self.register_buffer("code_offset", torch.zeros(c.code_dim))

    @torch.no_grad()
    def adopt_codebook(self, tokenizer: ConvTokenizer) -> None:
        """Copy the tokenizer's codes, the pixels they stand for, and the linear map that leads back from those."""
        self.codebook.copy_(tokenizer.codebook.codes)
        self.patches.copy_(tokenizer.linear_patches())
        ones = torch.ones(len(self.patches), 1, device=self.patches.device)
        solution = torch.linalg.lstsq(torch.cat([self.patches, ones], 1).cpu(), self.codebook.cpu()).solution
        self.to_code.copy_(solution[:-1])
        self.code_offset.copy_(solution[-1])

    def with_new_actions(self, num_actions: int) -> "ConvDynamics":
        """Return a copy for other actions: the layers that read them are initialised anew, everything else is kept."""
        other = ConvDynamics(replace(self.config, num_actions=num_actions))
        kept = {name: value for name, value in self.state_dict().items() if name not in READ_ACTIONS}
        other.load_state_dict(other.state_dict() | kept)
        return other.to(self.codebook.device)

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
        places, earlier = _before(steps[:, None], self.config.window)  # (t, h)
        tokens = past[torch.arange(b, device=past.device)[:, None, None], shown[:, places]]
        sights = self.look(
            rearrange(tokens, "b t h n -> (b t) h n"), rearrange(hidden[:, places] | earlier, "b t h -> (b t) h")
        )
        seen, wholes, measured, frames = (rearrange(x, "(b t) ... -> b t ...", b=b) for x in sights)
        camera = measured if cache is None else _agreed(measured, _recent(cache, t))
        memories = self._memories(seen, actions[:, -t - 1 : -1])
        led, unknown = _before(torch.arange(actions.shape[1], device=past.device)[-m:, None], self.config.action_window)
        sight = tuple(rearrange(x[:, -m:], "b m ... -> (b m) ...") for x in (seen, wholes, measured, frames))
        lately, unseen = _before(steps[-m:, None], CAMERA_STEPS)
        context, guess, motion = self.context(
            sight,
            rearrange(memories[:, -m:], "b m ... -> (b m) ..."),
            rearrange(camera[:, lately].masked_fill(unseen[..., None], 0), "b m j i -> (b m) j i"),
            rearrange(actions[:, led].masked_fill(unknown, -1), "b m l -> (b m) l"),
        )
        features = self.refine(context, guess, rearrange(drafts, "b m n -> (b m) n"))
        return rearrange(features, "(b m) n d -> b m n d", b=b), rearrange(motion, "(b m) i o -> b m i o", b=b)

    def expected_motion(self, logits: Tensor) -> Tensor:
        """Return the motion float (b, 3) that logits (b, 2, offsets) mean, which is known."""
        offsets = torch.arange(-self.config.reach, self.config.reach + 1, device=logits.device)
        expected = (logits.float().softmax(-1) * offsets).sum(-1)
        return torch.cat([expected, torch.ones_like(expected[:, :1])], 1)

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
            newest = _agreed(sight[2], cache.meant).masked_fill(hidden[:, i, None], 0)
            cache.camera.copy_(torch.cat([cache.camera[:, 1:], newest[:, None]], 1))
            cache.meant.zero_()
            cache.memory.copy_(self.memory(cache.memory, sight[0], self.one_hot(cache.actions[:, -1])))
        if not drafts.shape[1]:
            return self.codebook.new_zeros(len(past), 0, c.side**2, c.dim + c.code_dim)
        if t:
            recent = torch.cat([cache.actions[:, 1:], actions[:, -1:]], 1)
            context, guess, motion = self.context(sight, cache.memory, cache.camera, recent)
            cache.meant.copy_(self.expected_motion(motion))
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
            between the last two (b, 3), and the newest frame (b, 3, s, s).
        """
        c = self.config
        patches = rearrange(self.patches[tokens], "b h (y x) p -> b h p y x", y=c.side)
        flags = repeat(hidden.to(patches.dtype), "b h -> b h y x", y=c.side, x=c.side)
        frames = pixels_of(patches, c.patch)
        wholes, places, camera = _matches(frames, c.patch)
        camera = camera.masked_fill(hidden[:, -2:].any(1, keepdim=True), 0)
        seen = [rearrange(patches - 0.5, "b h p y x -> b (h p) y x"), flags, places]
        return self.stem(torch.cat(seen, 1)) + self.position, wholes, camera, frames[:, -1]

    def context(
        self, sight: tuple[Tensor, ...], memory: Tensor, camera: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is known of a frame before any of its tokens.

        Args:
            sight: What `look` returned.
            memory: float (b, r, side, side).
            camera: float (b, j, 3), its motion in the last steps.
            actions: int64 (b, l), the last actions; the last of all leads to the frame.

        Returns:
            Features (b, w, side, side), the encoding of the guessed frame (b, n, c), and logits of the camera's motion
            (b, 2, offsets).
        """
        seen, wholes, _, last = sight
        moved = torch.cat([wholes, rearrange(camera, "b j i -> b (j i)")], 1)
        action = F.silu(self.act(rearrange(self.one_hot(actions), "b l a -> b (l a)")) + self.moved(moved))
        x = seen + self.recall(memory)
        for block in self.before:
            x = block(x, action)
        coarse = self.attention(self.down(x))
        for block in self.coarse:
            coarse = block(coarse, action)
        x = x + F.interpolate(self.up(coarse), scale_factor=2.0)
        for block in self.after:
            x = block(x, action)
        frame, motion = self.motion(last, action, coarse, x)
        guess = rearrange(patches_of(frame, self.config.patch), "b p y x -> b (y x) p") @ self.to_code
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
        """Return logits (..., n, k) of features (..., n, w + c): scaled, minus half the squared distance to codes."""
        own, guess = features.split([self.config.dim, self.config.code_dim], -1)
        query = guess + self.correction(own)
        with full_precision(query.device):
            nearness = query.float() @ self.codebook.T - 0.5 * self.codebook.square().sum(-1)
        return nearness * self.sharpness.exp() + self.bias

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
        return loss + self.config.camera_weight * _camera_loss(motion, camera, self.config.reach)


class _Memory(nn.Module):
    """What is known of the past beyond the last frames, such as a speed too low to move a token: a gated convolution.

    Args:
        channels: Channels of what is seen.
        memory: Channels of the memory.
        num_actions: Number of actions.
    """

    def __init__(self, channels: int, memory: int, num_actions: int):
        super().__init__()
        self.inputs = Conv(channels + memory, 2 * memory)
        self.act = nn.Linear(num_actions, 2 * memory, bias=False)

    def forward(self, memory: Tensor, seen: Tensor, action: Tensor) -> Tensor:
        """Return the memory float (b, r, y, x) after a frame, seen as float (b, c, y, x), that an action led to.

        The action is one-hot, float (b, a).
        """
        both = self.inputs(torch.cat([F.silu(seen), memory], 1)) + self.act(action)[:, :, None, None]
        new, gate = both.chunk(2, 1)
        return torch.lerp(memory, new.tanh(), gate.sigmoid())


def _camera_loss(logits: Tensor, camera: Tensor, reach: int) -> Tensor:
    """Cross-entropy of logits (..., 2, 2 * reach + 1) of whole pixels to motions (..., 2) between them, where known."""
    known = camera.isfinite().all(-1)
    place = (camera[known] + reach).clamp(0, 2 * reach)
    low = place.long().clamp(max=2 * reach - 1)
    likely = logits[known].float().log_softmax(-1)
    below, above = (likely.gather(-1, (low + i)[..., None])[..., 0] for i in (0, 1))
    return -torch.lerp(below, above, place - low).sum() / max(1, known.numel())


@torch.no_grad()
def _matches(frames: Tensor, patch: int) -> tuple[Tensor, Tensor, Tensor]:
    """How well shifts of a frame match the one after it, from 0 to 1, and how the camera moved by the best ones.

    Args:
        frames: float (b, h, 3, s, s), oldest first. With too few of them, the first counts as standing still.
        patch: Side of a place in pixels.

    Returns:
        float (b, pairs * shifts), of whole frames; float (b, shifts, side, side), in each place of the newest; and the
        motion between the last two float (b, 3): pixels down and right, and whether it is known.
    """
    grey = frames[:, -MATCHED_PAIRS - 1 :].mean(2)
    missing = MATCHED_PAIRS + 1 - grey.shape[1]
    grey = torch.cat([grey[:, :1].expand(-1, missing, -1, -1), grey], 1)
    size = grey.shape[-1]
    before = F.pad(grey[:, :-1], (MATCH_REACH,) * 4, mode="replicate").unfold(2, size, 2).unfold(3, size, 1)
    # Every other row, and columns averaged by a matrix product: a quarter of the time of the obvious way.
    error = (before[..., ::2, :] - grey[:, 1:, None, None, ::2]).abs()
    columns = rearrange(torch.eye(size // patch, device=grey.device), "q r -> q 1 r").expand(-1, patch, -1) / patch
    places = error @ rearrange(columns, "q p r -> (q p) r").to(error.dtype)
    places = reduce(places, "b i j k (y p) x -> b i (j k) y x", "mean", p=patch // 2)
    errors = places.mean((-2, -1))
    wholes = (-errors / WHOLE_MISMATCH).exp()
    return rearrange(wholes, "b i s -> b (i s)"), (-places[:, -1] / MISMATCH).exp(), _best_shift(errors[:, -1])


def _best_shift(errors: Tensor) -> Tensor:
    """Motion float (b, 3), as `_matches` returns it, from the errors (b, shifts) of shifts of a whole frame."""
    down, right = torch.arange(-MATCH_REACH, MATCH_REACH + 1, 2), torch.arange(-MATCH_REACH, MATCH_REACH + 1)
    shifts = torch.cartesian_prod(down, right).to(errors)
    least, mean = errors.amin(1, keepdim=True), errors.mean(1, keepdim=True)
    error = errors + 1e-4 * shifts.abs().sum(1)  # of equally good ones the smallest
    near = (-error / (SHARPNESS * (mean - least) + 2e-4)).softmax(-1)
    known = (least < NO_MATCH).to(errors.dtype)
    return torch.cat([near @ shifts, torch.ones_like(known)], 1) * known


def _agreed(measured: Tensor, meant: Tensor) -> Tensor:
    """Of motions (..., 3) those that a prediction meant where the frames do not contradict, and else the measured ones.

    Frames that were predicted tell a slow motion less exactly than the model knew it.
    """
    apart = (measured - meant)[..., :2].abs().amax(-1, keepdim=True)
    return torch.where((meant[..., 2:] > 0) & (measured[..., 2:] > 0) & (apart < 1), meant, measured)


class _Motion(nn.Module):
    """The guess of the next frame: the last one, shifted copies of it and painted pixels, blended pixel by pixel."""

    steps: Tensor

    def __init__(self, config: ConvDynamicsConfig):
        super().__init__()
        self.patch, self.shifts = config.patch, config.shifts
        offsets, size = 2 * config.reach + 1, config.side * config.patch
        self.to_shifts = nn.Sequential(
            nn.Linear(16 * config.coarse_dim + ACTION_DIM, 256), nn.SiLU(), nn.Linear(256, 2 * config.shifts * offsets)
        )
        self.to_blend = Conv(config.dim, (config.shifts + 2) * config.patch**2, 1)
        self.to_paint = Conv(config.dim, 3 * config.patch**2, 1)
        with torch.no_grad():  # at first mostly the last frame
            self.to_blend.bias[: config.patch**2] += 2.0
        self.register_buffer("steps", _shift_matrices(config.reach, size), persistent=False)

    def forward(self, last: Tensor, action: Tensor, coarse: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Return the guess (b, 3, s, s) from the last frame, the actions and features at both resolutions.

        Beside it stand the logits (b, 2, offsets) of the first shift, down and right.
        """
        pooled = rearrange(F.adaptive_avg_pool2d(coarse, 4), "b c y x -> b (c y x)")
        logits = rearrange(self.to_shifts(torch.cat([pooled, action], 1)), "b (i m o) -> i b m o", i=2, m=self.shifts)
        down, right = einsum(logits.softmax(-1), self.steps, "i b m o, o source target -> i b m source target")
        shifted = einsum(down, last, right, "b m y to_y, b k y x, b m x to_x -> b m k to_y to_x")
        paint = pixels_of(self.to_paint(fine), self.patch) + 0.5
        blend = pixels_of(self.to_blend(fine), self.patch).softmax(1)[:, :, None]
        sources = torch.cat([last[:, None], shifted, paint[:, None]], 1)
        return (blend * sources).sum(1), rearrange(logits[:, :, 0], "i b o -> b i o")


def _recent(cache: FrameCache, count: int) -> Tensor:
    """The camera's motion (b, count, 3) that led to the frames in a cache and to the one last predicted."""
    motions = torch.cat([cache.camera, cache.meant[:, None]], 1)[:, -count:]
    return F.pad(motions, (0, 0, count - motions.shape[1], 0))


def _before(newest: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` places up to and with each newest one (m, 1), int64 (m, count), and which lie before the first."""
    places = newest + torch.arange(1 - count, 1, device=newest.device)
    return places.clamp(min=0), places < 0


def _shift_matrices(reach: int, size: int) -> Tensor:
    """Return matrices float (2 * reach + 1, size, size) that shift a row of pixels, repeating it at its ends."""
    target = torch.arange(size)
    source = (target + torch.arange(-reach, reach + 1)[:, None]).clamp(0, size - 1)
    return rearrange(F.one_hot(source, size).float(), "o target source -> o source target")


class _Attention(nn.Module):
    """Self-attention over all places of a picture, added to it; at first nothing.

    Args:
        channels: Channels, a multiple of `ATTENTION_HEADS`.
        side: Rows and columns of the picture.
    """

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.position = nn.Parameter(torch.randn(channels, side, side) * 0.02)
        self.norm = nn.GroupNorm(1, channels)
        self.inputs, self.output = Conv(channels, 3 * channels, 1), Conv(channels, channels, 1, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, float (b, c, h, w), with what each place attended to."""
        inputs = self.inputs(self.norm(x + self.position))
        q, k, v = rearrange(inputs, "b (i m c) y x -> i b m (y x) c", i=3, m=ATTENTION_HEADS)
        attended = F.scaled_dot_product_attention(q, k, v)
        return x + self.output(rearrange(attended, "b m (y x) c -> b (m c) y x", y=x.shape[2]))
