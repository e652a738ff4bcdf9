"""Which clips and which frozen parts feed each model: tokenizer or its decoder first, then the dynamics on its tokens;
the latent action model on pictures alone.

Shapes: b clips, t frames, n tokens a frame.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor, nn

from genie_gym.data import Clips, JoinedClips
from genie_gym.fit.loop import FitConfig, FitReport, fit, fit_device
from genie_gym.frames import beside, from_model, to_model
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.models.tokenizer import Tokenizer
from genie_gym.precision import autocast, resolve

__all__ = [
    "Ordered",
    "Windows",
    "draw_windows",
    "dynamics_figures",
    "fit_decoder",
    "fit_dynamics",
    "fit_latent_actions",
    "fit_tokenizer",
    "latent_figures",
    "one_step_ahead",
    "token_batch",
]

Windows = Clips | JoinedClips


class Ordered(Protocol):
    """Windows of `length` frames to validate with, as `Clips` gives them."""

    length: int

    def in_order(self, batch: int) -> Iterator[dict[str, np.ndarray]]: ...


def fit_tokenizer(model: Tokenizer, train: Windows, held_out: Windows, config: FitConfig, folder: Path) -> FitReport:
    """Fits the tokenizer to reconstruct clips; validates PSNR over all held-out windows."""

    def validate(average: Any) -> dict[str, Any]:
        return _reconstruction(average, held_out, config)

    return fit(model, _pictures(train), validate, config, folder, name="tokenizer")


def fit_decoder(model: Tokenizer, train: Windows, held_out: Windows, config: FitConfig, folder: Path) -> FitReport:
    """Tunes a fitted tokenizer's way back from tokens to pixels, as the paper does before it tunes the dynamics.

    Encoder and codebook stay as they are to the bit, so that the tokens that the dynamics knows keep their meaning
    (paper section 4). Validates as `fit_tokenizer` does.
    """

    def validate(average: Any) -> dict[str, Any]:
        return _reconstruction(average.tokenizer, held_out, config)

    return fit(_DecoderFit(model), _pictures(train), validate, config, folder, name="decoder")


class _DecoderFit(nn.Module):
    """A tokenizer of which only what follows the codebook learns."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__()
        self.tokenizer = tokenizer.requires_grad_(False)
        for part in (tokenizer.from_code, tokenizer.decoder, tokenizer.to_pixels):
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> "_DecoderFit":
        super().train(mode)
        self.tokenizer.encoder.eval()
        self.tokenizer.codebook.eval()  # in training it would follow what it sees
        return self

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            tokens = self.tokenizer.encode(batch["frames"])
        loss, error = self.tokenizer.reconstruction_loss(self.tokenizer.decode(tokens), batch["frames"])
        return loss, {"mse": error}


def _pictures(train: Windows) -> Callable[[np.random.Generator, int], dict[str, Tensor]]:
    """Draws clips to be reconstructed."""

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        clips = train.sample(rng, batch, overhang=train.length - 1)  # an episode's last frame as often as any other
        return {"frames": to_model(torch.from_numpy(clips["frames"]))}

    return sample


@torch.no_grad()
def _reconstruction(average: Any, held_out: Windows, config: FitConfig) -> dict[str, Any]:
    """A tokenizer's PSNR over all held-out windows, the codes it uses, and a clip beside what it sees in it."""
    device = next(average.parameters()).device
    errors, used, clip = [], [], None
    with autocast(resolve(config.precision, device), device):
        for batch in held_out.in_order(16):
            frames = to_model(torch.from_numpy(batch["frames"])).to(device)
            tokens = average.encode(frames)
            seen = average.decode(tokens).clamp(0, 1)
            errors.append(reduce((seen - frames).square(), "b t c h w -> (b t)", "mean").cpu())
            used.append(tokens.flatten().cpu())
            clip = beside(batch["frames"][0], from_model(seen[0]).cpu().numpy()) if clip is None else clip
    mse = torch.cat(errors).clamp(min=1e-6)
    return {"psnr": (-10 * mse.log10()).mean(), "codes": len(torch.cat(used).unique()), "real_and_seen": clip}


def fit_latent_actions(
    model: LatentActionModel, train: Windows, held_out: Windows, config: FitConfig, folder: Path
) -> FitReport:
    """Fits the latent action model to predict each next frame from the past and a code; no action is looked at.

    Validates, over all held-out windows, the PSNR of the mean error of the next frames (a mean of PSNR would be one of
    the frames in which nothing moves), that of the last frames repeated, and how many codes are in use: "codes" of them
    at all, "perplexity" as many as were they used evenly.
    """

    def validate(average: Any) -> dict[str, Any]:
        return latent_figures(average, held_out, config)

    return fit(model, _pictures(train), validate, config, folder, name="latent_actions")


@torch.no_grad()
def latent_figures(average: Any, held_out: Windows, config: FitConfig) -> dict[str, Any]:
    device = next(average.parameters()).device
    errors: list[Tensor] = []
    repeated: list[Tensor] = []
    chosen, clip = [], None
    with autocast(resolve(config.precision, device), device):
        for batch in held_out.in_order(16):
            frames = to_model(torch.from_numpy(batch["frames"])).to(device)
            codes = average.codes(frames)
            predicted = average.predict(frames[:, :-1], codes).clamp(0, 1)
            for kept, guess in ((errors, predicted), (repeated, frames[:, :-1])):
                kept.append(reduce((guess - frames[:, 1:]).square(), "b t c h w -> (b t)", "mean").cpu())
            chosen.append(codes.flatten().cpu())
            clip = beside(batch["frames"][0, 1:], from_model(predicted[0]).cpu().numpy()) if clip is None else clip
    shares = torch.bincount(torch.cat(chosen)) / len(torch.cat(chosen))
    psnr, repeat_psnr = (-10 * torch.cat(mse).mean().clamp(min=1e-6).log10() for mse in (errors, repeated))
    perplexity = torch.special.entr(shares).sum().exp()
    figures = {"psnr": psnr, "repeat_psnr": repeat_psnr, "codes": shares.count_nonzero(), "perplexity": perplexity}
    return figures | {"real_and_predicted": clip}


def fit_dynamics(
    model: Dynamics,
    tokenizer: Tokenizer,
    train: Windows,
    held_out: Windows,
    config: FitConfig,
    folder: Path,
    lengths: tuple[int, ...],
) -> FitReport:
    """Fits the dynamics on the tokens of a frozen tokenizer.

    The end of an episode is rare, and only its last window holds it. So windows end where the clip ends, and the last
    one is drawn more often, just enough that ends are as frequent as in the recording; the head's probability then
    needs no correction. More often still does harm: a head that was shown a quarter of ends knew its 140 ends by heart,
    and told held-out ends worse than their mere rate does.

    Args:
        train: the windows are of up to `train.length` frames, at least the largest of `lengths`; half of the batches
            use all of a window, the others its last frames, as a dream is long past its prompt most of the time.
        lengths: frames of a training clip; each batch draws one of them and has so many clips that its frames are as
            many as those of `config.batch` clips of the first length.
    """
    tokenizer.to(fit_device()).eval().requires_grad_(False)
    model.adopt_codebook(tokenizer.codebook.codes)

    def sample(rng: np.random.Generator, batch: int) -> dict[str, Tensor]:
        clips, start, stop = draw_windows(train, lengths, rng, batch)
        return token_batch(tokenizer, clips, start, stop, config.precision)

    def validate(average: nn.Module) -> dict[str, Any]:
        figures = dynamics_figures(average, tokenizer, held_out, config)
        return figures | one_step_ahead(average, tokenizer, held_out, config)

    return fit(model, sample, validate, config, folder, name="dynamics")


def draw_windows(
    train: Windows, lengths: tuple[int, ...], rng: np.random.Generator, batch: int
) -> tuple[dict[str, np.ndarray], int, int]:
    """Windows, and which of their frames the dynamics learns from; see `fit_dynamics`."""
    length = int(rng.choice(lengths))
    start = int(rng.integers(train.length - length + 1)) if rng.random() < 0.5 else 0
    count = max(1, batch * lengths[0] // length)
    clips = train.sample(rng, count, start + length, overhang=length - 2)  # length - 1 frames are predicted
    return clips, start, start + length


@torch.no_grad()
def token_batch(
    tokenizer: Tokenizer, batch: dict[str, np.ndarray], start: int, stop: int, precision: str = "auto"
) -> dict[str, Tensor]:
    """Encodes whole windows and cuts frames start .. stop - 1 out of them, as Dynamics.forward wants them.

    At every step anew, which takes an eighth of its time. Tokens kept on disk would spare little of that: a frame's
    depend on where its window begins, and a fit seldom draws a window twice.
    """
    device = tokenizer.codebook.codes.device
    pixels = torch.from_numpy(batch["frames"][:, :stop]).to(device)  # causal: later frames change nothing
    frames = to_model(pixels)
    with autocast(resolve(precision, device), device):
        tokens = tokenizer.encode(frames)
    led = {
        "actions": _shifted(torch.from_numpy(batch["actions"]), -1),
        "rewards": _shifted(torch.from_numpy(batch["rewards"]), 0),
        "ends": _shifted(torch.from_numpy(batch["terminated"]), 0),
    }
    led["actions"][:, start] = -1  # a clip does not know what led to its first frame
    everything = {"tokens": tokens, "changed": _changed(pixels, tokenizer.config.patch)} | led
    # Laid out as if there were no other frames: torch compiles anew for each layout that it has not seen.
    return {name: value[:, start:stop].contiguous().to(device) for name, value in everything.items()}


def _shifted(steps: Tensor, first: float) -> Tensor:
    """From "what the step after frame t brought" (b, t - 1) to "what led to frame t" (b, t)."""
    return torch.cat([torch.full_like(steps[:, :1], first), steps], 1)


def _changed(pixels: Tensor, patch: int, threshold: int = 5) -> Tensor:
    """Tokens over pixels that changed since the frame before: uint8 (b, t, h, w, 3) to bool (b, t, n)."""
    change = (pixels[:, 1:].int() - pixels[:, :-1].int()).abs().amax(-1)
    change = torch.cat([torch.zeros_like(change[:, :1]), change], 1)
    largest = reduce(change, "b t (h p) (w q) -> b t h w", "max", p=patch, q=patch)
    return rearrange(largest > threshold, "b t h w -> b t (h w)")


@torch.no_grad()
def dynamics_figures(model: Any, tokenizer: Tokenizer, held_out: Ordered, config: FitConfig) -> dict[str, Any]:
    """The model's own figures over all held-out windows taken together, with the same masks at each validation."""
    device = next(model.parameters()).device
    sums, numbers = defaultdict[str, float](float), defaultdict[str, float](float)
    with torch.random.fork_rng():  # on all devices: training goes on with its own stream of noise
        torch.manual_seed(config.seed)
        for batch in _in_order(tokenizer, held_out, config):
            with autocast(resolve(config.precision, device), device):
                _, totals = model.loss_and_totals(batch)
            for name, (total, number) in totals.items():
                sums[name] += total.item()
                numbers[name] += number.item()
    return {name: sums[name] / max(numbers[name], 1) for name in sums}


@torch.no_grad()
def one_step_ahead(model: Any, tokenizer: Tokenizer, held_out: Ordered, config: FitConfig) -> dict[str, np.ndarray]:
    """A held-out clip, and beside it each of its frames as predicted from the real ones before it."""
    clip = next(held_out.in_order(1))
    batch = token_batch(tokenizer, clip, 0, held_out.length, config.precision)
    with autocast(resolve(config.precision, batch["tokens"].device), batch["tokens"].device):
        predicted = model.next_frames(batch["tokens"], batch["actions"])
        pictures = from_model(tokenizer.decode(predicted))[0].cpu().numpy()
    return {"real_and_predicted": beside(clip["frames"][0], pictures)}


def _in_order(tokenizer: Tokenizer, clips: Ordered, config: FitConfig) -> Iterator[dict[str, Tensor]]:
    for batch in clips.in_order(16):
        yield token_batch(tokenizer, batch, 0, clips.length, config.precision)
