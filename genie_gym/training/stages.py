"""The training stages: the clips and frozen parts that each model learns from, and how it is validated.

Shapes: b clips, t frames, n tokens a frame.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from genie_gym.data import MixtureDataset, SequenceDataset
from genie_gym.models.architectures import AnyDynamics, AnyTokenizer
from genie_gym.models.lam import LatentActionModel
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.loop.trainer import StageReport, run_training, training_device
from genie_gym.utils.images import from_model, hstack, to_model
from genie_gym.utils.motion import camera_and_independent_tokens, changed_tokens
from genie_gym.utils.precision import autocast, resolve_precision
from genie_gym.world_model import SamplingConfig, WorldModel

__all__ = [
    "OrderedWindows",
    "Windows",
    "draw_windows",
    "one_step_ahead",
    "token_batch",
    "train_decoder",
    "train_dynamics",
    "train_lam",
    "train_tokenizer",
    "validate_dreams",
    "validate_dynamics",
    "validate_lam",
]

Windows = SequenceDataset | MixtureDataset

PREPARATION = 512  # frames that a convolutional tokenizer's codes start at
VALIDATED = 512  # held-out windows in a validation, at most: more would cost minutes and change little
DREAMT = 64  # of them, from which the dynamics dreams on
LEAST = 8  # of them of each game, if there are many games
DREAM_CONTEXT, DREAM_STEPS = 2, 4  # real frames before a dream, and t at which Genie and the paper compare


class OrderedWindows(Protocol):
    """Windows of `length` frames to validate with, as `SequenceDataset` returns them."""

    length: int

    def named_parts(self) -> "Mapping[str, OrderedWindows]": ...

    def in_order(self, batch: int, at_most: int | None = None) -> Iterator[dict[str, np.ndarray]]: ...


def train_tokenizer(
    model: AnyTokenizer, train: Windows, held_out: Windows, config: TrainerConfig, folder: Path
) -> StageReport:
    """Train a tokenizer to reconstruct clips.

    Args:
        model: The tokenizer, trained in place.
        train: Windows to train on.
        held_out: Windows to validate with. The metrics are "psnr" in dB and "codes", the number of codes in use; of
            several games also "psnr GAME" of each.
        config: Length and optimiser.
        folder: Folder of the training state; the run is resumable.
    """

    first = train.sample(np.random.default_rng(config.seed), PREPARATION, 2)["frames"][:, 0]
    model.prepare(to_model(torch.from_numpy(first)))

    def validate(average: Any) -> dict[str, Any]:
        return _validate_reconstruction(average, held_out, config)

    report = run_training(model, _frame_sampler(train), validate, config, folder, name="tokenizer")
    model.merge_codes()  # resumed, the state of before is merged in the same way again
    return report


def train_decoder(
    model: AnyTokenizer, train: Windows, held_out: Windows, config: TrainerConfig, folder: Path
) -> StageReport:
    """Finetune the decoder of a trained tokenizer, as the paper does before it finetunes the dynamics.

    Encoder and codebook stay bit-identical, so that the tokens keep their meaning for the dynamics (paper section 4).
    Arguments and metrics are those of `train_tokenizer`.
    """

    def validate(average: Any) -> dict[str, Any]:
        return _validate_reconstruction(average.tokenizer, held_out, config)

    return run_training(_DecoderTraining(model), _frame_sampler(train), validate, config, folder, name="decoder")


class _DecoderTraining(nn.Module):
    """A tokenizer of which only the layers after the codebook are trained."""

    def __init__(self, tokenizer: AnyTokenizer):
        super().__init__()
        self.tokenizer = tokenizer.requires_grad_(False)
        for part in tokenizer.decoder_parts:
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> "_DecoderTraining":
        super().train(mode)
        self.tokenizer.encoder.eval()
        self.tokenizer.codebook.eval()  # in training mode it would follow the encodings
        return self

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            tokens = self.tokenizer.encode(batch["frames"])
        loss, error = self.tokenizer.reconstruction_loss(self.tokenizer.decode(tokens), batch["frames"])
        return loss, {"mse": error}


def _frame_sampler(train: Windows) -> Callable[[np.random.Generator, int], dict[str, Tensor]]:
    """A function that draws clips of frames, float (b, t, 3, size, size)."""

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        clips = train.sample(rng, batch, overhang=train.length - 1)  # an episode's last frame as often as any other
        return {"frames": to_model(torch.from_numpy(clips["frames"]))}

    return sample


@torch.no_grad()
def _validate_reconstruction(tokenizer: Any, held_out: Windows, config: TrainerConfig) -> dict[str, Any]:
    """PSNR over held-out windows, the number of codes in use, and a clip beside its reconstruction."""
    device = next(tokenizer.parameters()).device
    parts = held_out.named_parts()
    errors, used, clip = {name: list[Tensor]() for name in parts}, [], None
    with autocast(resolve_precision(config.precision, device), device):
        for name, batch in _named_batches(parts, 16, VALIDATED):
            frames = to_model(torch.from_numpy(batch["frames"])).to(device)
            tokens = tokenizer.encode(frames)
            decoded = tokenizer.decode(tokens).clamp(0, 1)
            errors[name].append(reduce((decoded - frames).square(), "b t c h w -> (b t)", "mean").cpu())
            used.append(tokens.flatten().cpu())
            clip = hstack(batch["frames"][0], from_model(decoded[0]).cpu().numpy()) if clip is None else clip
    psnr = {name: -10 * torch.cat(own).clamp(min=1e-6).log10() for name, own in errors.items()}
    metrics = {"psnr": torch.cat(list(psnr.values())).mean(), "codes": len(torch.cat(used).unique())}
    metrics |= {f"psnr {name}": own.mean() for name, own in psnr.items() if name}
    return metrics | {"real_and_reconstructed": clip}


def _named_batches(
    parts: Mapping[str, OrderedWindows], batch: int, at_most: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Batches of each part with its name, of all parts together so many windows, but of each `LEAST` or more."""
    share = max(at_most // len(parts), LEAST)
    return ((name, one) for name, part in parts.items() for one in part.in_order(batch, share))


def train_lam(
    model: LatentActionModel, train: Windows, held_out: Windows, config: TrainerConfig, folder: Path
) -> StageReport:
    """Train a latent action model to predict each next frame from the past and a code; no recorded action is used.

    Arguments are those of `train_tokenizer`, metrics those of `validate_lam`.
    """

    def validate(average: Any) -> dict[str, Any]:
        return validate_lam(average, held_out, config)

    return run_training(model, _frame_sampler(train), validate, config, folder, name="latent_actions")


@torch.no_grad()
def validate_lam(model: Any, held_out: Windows, config: TrainerConfig) -> dict[str, Any]:
    """Measure how well a latent action model predicts the next frames of held-out windows.

    Returns:
        "psnr": PSNR of the mean error, in dB (a mean of PSNR would be dominated by frames in which nothing moves);
        "repeat_psnr": that of the last frames repeated; "codes": how many codes are in use; "perplexity": how many they
        were if used evenly; "real_and_predicted": a clip.
    """
    device = next(model.parameters()).device
    errors: list[Tensor] = []
    repeated: list[Tensor] = []
    chosen, clip = [], None
    with autocast(resolve_precision(config.precision, device), device):
        for batch in held_out.in_order(16, VALIDATED):
            frames = to_model(torch.from_numpy(batch["frames"])).to(device)
            codes = model.codes(frames)
            predicted = model.predict(frames[:, :-1], codes).clamp(0, 1)
            for mse, guess in ((errors, predicted), (repeated, frames[:, :-1])):
                mse.append(reduce((guess - frames[:, 1:]).square(), "b t c h w -> (b t)", "mean").cpu())
            chosen.append(codes.flatten().cpu())
            clip = hstack(batch["frames"][0, 1:], from_model(predicted[0]).cpu().numpy()) if clip is None else clip
    shares = torch.bincount(torch.cat(chosen)) / len(torch.cat(chosen))
    psnr, repeat_psnr = (-10 * torch.cat(mse).mean().clamp(min=1e-6).log10() for mse in (errors, repeated))
    perplexity = torch.special.entr(shares).sum().exp()
    metrics = {"psnr": psnr, "repeat_psnr": repeat_psnr, "codes": shares.count_nonzero(), "perplexity": perplexity}
    return metrics | {"real_and_predicted": clip}


def train_dynamics(
    model: AnyDynamics,
    tokenizer: AnyTokenizer,
    train: Windows,
    held_out: Windows,
    config: TrainerConfig,
    folder: Path,
    clip_lengths: tuple[int, ...],
    moving_choices: int = 1,
) -> StageReport:
    """Train the dynamics on the tokens of a frozen tokenizer.

    Terminations are rare, and only the last window of an episode holds one. So windows end where the clip ends, and the
    last one is drawn more often, just enough that terminations are as frequent as in the dataset; the head's
    probability then needs no correction. More often does harm: a head for which a quarter of the steps were
    terminations knew its 140 terminations by heart, and predicted held-out ones worse than their mere rate does.

    Args:
        model: The dynamics, trained in place.
        tokenizer: A trained tokenizer.
        train: Windows to train on, of up to `train.length` frames, at least the largest of `clip_lengths`. Half of the
            batches use all of a window, the others its last frames, as most of a rollout is long past its context.
        held_out: Windows to validate with; the metrics are those of `validate_dynamics` and `validate_dreams`.
        config: Length and optimiser.
        folder: Folder of the training state; the run is resumable.
        clip_lengths: Frames of a training clip. Each batch draws one of them, and has so many clips that its frames are
            as many as those of `config.batch_size` clips of the first length.
        moving_choices: Half of the clips are the most moving one of so many that are drawn.
    """
    tokenizer.to(training_device()).eval().requires_grad_(False)
    model.adopt_codebook(tokenizer)  # type: ignore[arg-type]  # presets pair what fits together
    predicted = model.config.predicted_frames

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        clips, start, stop = draw_windows(train, clip_lengths, rng, batch, moving_choices, predicted)
        if predicted is None:
            return token_batch(tokenizer, clips, start, stop, config.precision)
        seen = min(predicted + model.config.window, stop)
        return token_batch(tokenizer, clips, start, stop, config.precision, seen)

    def validate(average: nn.Module) -> dict[str, Any]:
        metrics = validate_dynamics(average, tokenizer, held_out, config)
        dreams = validate_dreams(average, tokenizer, held_out, config)
        return metrics | dreams | one_step_ahead(average, tokenizer, held_out, config)

    return run_training(model, sample, validate, config, folder, name="dynamics")


def draw_windows(
    train: Windows,
    clip_lengths: tuple[int, ...],
    rng: np.random.Generator,
    batch: int,
    moving_choices: int = 1,
    predicted: int | None = None,
) -> tuple[dict[str, np.ndarray], int, int]:
    """Draw windows, and the first and last + 1 of the frames that the dynamics learns from; see `train_dynamics`.

    Where only the last `predicted` frames of a clip are predicted, there are as many clips of each length.
    """
    length = int(rng.choice(clip_lengths))
    start = int(rng.integers(train.length - length + 1)) if rng.random() < 0.5 else 0
    count = batch if predicted else max(1, batch * clip_lengths[0] // length)
    overhang = min(predicted or length, length - 1) - 1  # other frames are predicted in so many more windows
    clips = train.sample(rng, count * moving_choices, start + length, overhang=overhang, group=moving_choices)
    return _most_moving(clips, count, start, moving_choices), start, start + length


def _most_moving(clips: dict[str, np.ndarray], count: int, start: int, choices: int) -> dict[str, np.ndarray]:
    """Keep one of each `choices` windows: in half of the cases the one that moves most, in the others the first."""
    if choices == 1:
        return clips
    frames = rearrange(clips["frames"][:, start:], "(c n) t h w k -> c n t h w k", n=choices)
    change = np.abs(np.diff(frames[..., ::2, ::2, :].astype(np.int16), axis=2)) > 5
    motion = reduce(change.astype(np.float32), "c n t h w k -> c n", "mean")
    chosen = np.where(np.arange(count) % 2, motion.argmax(1), 0) + choices * np.arange(count)
    return {name: values[chosen] for name, values in clips.items()}


@torch.no_grad()
def token_batch(
    tokenizer: AnyTokenizer,
    batch: dict[str, np.ndarray],
    start: int,
    stop: int,
    precision: str = "auto",
    seen: int | None = None,
) -> dict[str, Tensor]:
    """Encode whole windows and cut frames start .. stop - 1 out of them, as the batch of `MaskedPrediction.forward`.

    This is done at every step and takes an eighth of its time. Tokens kept on disk would spare little of that: those of
    a frame depend on where its window begins, and training seldom draws a window twice.

    Args:
        tokenizer: The frozen tokenizer.
        batch: Windows, as `SequenceDataset.sample` returns them.
        start: First frame of the clip.
        stop: Frame after its last one.
        precision: "auto", "float32" or "bfloat16".
        seen: How many of the last frames the dynamics sees, where it knows only the actions of earlier ones; the batch
            then has more actions than frames, and "independent" and "camera".
    """
    device = tokenizer.codebook.codes.device
    pixels = torch.from_numpy(batch["frames"][:, :stop]).to(device)  # causal: later frames change nothing
    if seen is not None:
        pixels = pixels[:, -seen:]
    with autocast(resolve_precision(precision, device), device):
        tokens = tokenizer.encode(to_model(pixels))
    whole = {
        "tokens": tokens,
        "changed": changed_tokens(pixels, tokenizer.config.patch),
        "actions": _aligned(torch.from_numpy(batch["actions"]), -1),
        "rewards": _aligned(torch.from_numpy(batch["rewards"]), 0),
        "terminated": _aligned(torch.from_numpy(batch["terminated"]), 0),
    }
    whole["actions"][:, start] = -1  # the action before a clip's first frame is unknown
    actions = whole["actions"][:, start:stop]
    clip = {name: value[:, start:stop] for name, value in whole.items()}
    if seen is not None:
        clip = {name: value[:, :stop][:, -seen:] for name, value in whole.items()} | {"actions": actions}
        clip["camera"], clip["independent"] = camera_and_independent_tokens(pixels, tokenizer.config.patch)
    # Contiguous: torch compiles anew for each memory layout that it has not seen.
    return {name: value.contiguous().to(device) for name, value in clip.items()}


def _aligned(steps: Tensor, first: float) -> Tensor:
    """From outcomes of the step after frame t (b, t - 1) to those of the step before it (b, t)."""
    return torch.cat([torch.full_like(steps[:, :1], first), steps], 1)


@torch.no_grad()
def validate_dynamics(
    model: Any, tokenizer: AnyTokenizer, held_out: OrderedWindows, config: TrainerConfig
) -> dict[str, Any]:
    """Return the metrics of `MaskedPrediction.forward` over held-out windows, with the same masks each time."""
    device = next(model.parameters()).device
    sums, numbers = defaultdict[str, float](float), defaultdict[str, float](float)
    with torch.random.fork_rng():  # on all devices: training goes on with its own stream of noise
        torch.manual_seed(config.seed)
        for windows in held_out.in_order(16, VALIDATED):
            batch = token_batch(tokenizer, windows, 0, held_out.length, config.precision)
            with autocast(resolve_precision(config.precision, device), device):
                _, totals = model.loss_and_totals(batch)
            for name, (total, number) in totals.items():
                sums[name] += total.item()
                numbers[name] += number.item()
    return {name: sums[name] / max(numbers[name], 1) for name in sums}


@torch.no_grad()
def validate_dreams(
    model: Any, tokenizer: AnyTokenizer, held_out: OrderedWindows, config: TrainerConfig
) -> dict[str, float]:
    """Dream on from the first frames of held-out windows under their actions, and compare with what came.

    Args:
        model: The dynamics.
        tokenizer: The tokenizer of its tokens.
        held_out: Windows with actions.
        config: Precision and seed.

    Returns:
        "psnr": PSNR of the mean error four steps ahead (fewer where the windows are too short), in dB; "repeat_psnr":
        that of the last frame before the dream; of several games also "psnr GAME" and "repeat_psnr GAME" of each.
    """
    world, sampling = WorldModel(tokenizer, model), SamplingConfig(temperature=model.config.rollout_temperature)
    world.dtype = resolve_precision(config.precision, world.device)
    context = min(DREAM_CONTEXT, held_out.length - 1)
    steps = min(DREAM_STEPS, held_out.length - context)
    parts, seeds = held_out.named_parts(), np.random.default_rng(config.seed)
    errors, repeated = ({name: list[np.ndarray]() for name in parts} for _ in range(2))
    for name, windows in _named_batches(parts, 32, DREAMT):
        frames, actions = (torch.from_numpy(windows[name]) for name in ("frames", "actions"))
        own = torch.from_numpy(seeds.integers(2**63, size=len(frames)))
        state, _ = world.start(frames[:, :context], actions[:, : context - 1], own)
        for step in range(context - 1, context + steps - 1):
            shown = world.step(state, actions[:, step], sampling).frames
        real = windows["frames"][:, context + steps - 1]
        errors[name].append(_squared_errors(shown.cpu().numpy(), real))
        repeated[name].append(_squared_errors(windows["frames"][:, context - 1], real))
    return _psnr_by_game("psnr", errors) | _psnr_by_game("repeat_psnr", repeated)


def _psnr_by_game(metric: str, errors: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """PSNR of the mean of all squared errors, and of those of each game."""
    groups = {metric: [one for own in errors.values() for one in own]}
    groups |= {f"{metric} {name}": own for name, own in errors.items() if name}
    return {name: float(-10 * np.log10(max(np.concatenate(own).mean(), 1e-6))) for name, own in groups.items()}


def _squared_errors(shown: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Mean squared error of each frame, for values in [0, 1]: uint8 (b, s, s, 3) to float (b,)."""
    return reduce((shown.astype(np.float32) - real) ** 2, "b h w k -> b", "mean") / 255**2


@torch.no_grad()
def one_step_ahead(
    model: Any, tokenizer: AnyTokenizer, held_out: OrderedWindows, config: TrainerConfig
) -> dict[str, np.ndarray]:
    """Return a held-out clip beside each of its frames as predicted from the real ones before it."""
    clip = next(held_out.in_order(1))
    batch = token_batch(tokenizer, clip, 0, held_out.length, config.precision)
    with autocast(resolve_precision(config.precision, batch["tokens"].device), batch["tokens"].device):
        predicted = model.next_frames(batch["tokens"], batch["actions"])
        frames = from_model(tokenizer.decode(predicted))[0].cpu().numpy()
    return {"real_and_predicted": hstack(clip["frames"][0], frames)}
