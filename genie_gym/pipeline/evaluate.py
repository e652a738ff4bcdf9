"""How good a world model is, on episodes it was not trained on: pictures, prediction, control, long dreams.

Shapes: b clips, c context frames, h frames predicted (the horizon), s side of a frame in pixels. Step t of a prediction
is frame c + t - 1 of its clip, so t = 1 is the first frame predicted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange

from genie_gym.checks import at_least, check_seed
from genie_gym.data import Clips, Recording
from genie_gym.errors import ConfigError
from genie_gym.metrics import Frames, frechet_distance, moving_pixels, moving_psnr, psnr, ssim
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.pipeline.dreaming import TOGETHER, dream, dream_at_once
from genie_gym.pipeline.figures import plain, write_strip
from genie_gym.pipeline.latent_play import compare_actions, found_and_true, with_latent_actions
from genie_gym.pipeline.long_dreams import SHORTEST, long_dreams, thumbnails
from genie_gym.pipeline.perceptual_score import PerceptualScore
from genie_gym.pipeline.reward_score import score_rewards
from genie_gym.pipeline.sprites import SpriteDetector, cut_sprite, sprite_scores
from genie_gym.pipeline.tokens import decode, encode
from genie_gym.pipeline.windows import split_in_two
from genie_gym.world_model import Checkpoint, Sampling

__all__ = ["check_actions", "evaluate"]

AT = 4  # the step at which Genie and the paper measure control
PICTURED = 6  # clips shown in the strip


def evaluate(
    checkpoint: Checkpoint,
    recording: Recording,
    *,
    episodes: np.ndarray | None = None,
    clips: int = 128,
    context: int = 2,
    horizon: int = 10,
    sampling: Sampling | None = None,
    seed: int = 0,
    long_steps: int = 1000,
    dreams: int = 16,
    sprite: SpriteDetector | None = None,
    perceptual: bool = False,
    buttons: bool = False,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Scores a world model against recorded play; the same call gives the same figures, but for the speed.

    Args:
        checkpoint: what to score.
        recording: of the same game. A model of latent actions is scored under those that it finds in it, which tell it
            something of the very frames it is to predict.
        episodes: indices of the episodes to use; the held-out side of `data.split` by default.
        clips: random pieces of them, each predicted from its first frames under its true actions.
        context: real frames a prediction starts from.
        horizon: frames predicted, at least 4.
        sampling: how tokens are drawn; the checkpoint's own way by default.
        seed: of clips, noise and random actions.
        long_steps: length of the long dreams; 0 leaves them out.
        dreams: number of long dreams.
        sprite: finds the player in a picture; by default cut from the recording where its game is known to `sprites`.
        perceptual: adds LPIPS and FID; their networks' weights must be at hand, see `genie_gym.perceptual`.
        buttons: scores a model of latent actions under the recorded actions instead, each as the code that stands for
            it (see `map_buttons`): what a player gets. Makes no difference to other models.
        out: folder for strips of pictures, none by default: prediction.png (for a few clips three rows: real,
            predicted, last context frame repeated) and long_dreams.png.

    Returns:
        Plain values: all PSNR in dB, lists by step (first entry t = 1), None where there was nothing to measure.

        reconstruction: "psnr" of encoded and decoded frames, mean over frames; "moving_psnr" over moving pixels;
            "ssim"; "frechet", the Frechet distance of thumbnails (means of 8x8 places) to those of the real frames.
        prediction: autoregressive, each frame from those predicted before it: "psnr" (mean over frames), "pooled_psnr"
            (of the mean error), "moving_psnr" (pooled, moving pixels), each also as "repeat_...", for the last context
            frame shown again; "ssim" by step, and "ssim_t4"; "frechet" over all steps.
        single_pass: the same and "control" where all frames are predicted in one pass, see `WorldModel.at_once`; the
            paper has both ways.
        control: what frame t = 4 loses in PSNR where the actions are not the true ones, same noise, same sampling
            steps: "delta_psnr" with all actions after the context drawn at random, as Genie and with it the paper
            define it; "delta_psnr_last_action" with the fourth alone replaced by another, as the paper's released
            code has it; standard errors beside both.
        sprite: where the real frame shows the player, how often the predicted one does ("kept"), and in the same
            place ("in_place"); "pictured" is the same as "kept" for reconstructed frames. None without a detector.
        perceptual: of "reconstruction", "prediction", "single_pass" and "repeat" (the last context frame shown again)
            "lpips" by step and "fid" over all steps; None unless asked for.
        latent: for a model of latent actions, how well those it finds in the chosen episodes match the recorded ones,
            see `compare_actions`; None for other models, or where no actions were recorded.
        long, rewards: see `long_dreams` and `score_rewards`; None without long dreams.
        speed: "frames_per_second" of a batch of "batch".

    Raises:
        ConfigError: the horizon is too short, the recording is of a game with other actions, or no buttons are known.
        DataError: no episode is long enough, or the pictures cannot be written.
        CheckpointError: the weights of LPIPS or FID are missing; the message says how to fetch them.
    """
    at_least(AT, horizon=horizon)
    at_least(1, context=context, clips=clips)
    check_seed(seed)
    if long_steps:
        at_least(SHORTEST, long_steps=long_steps)
    measure = PerceptualScore(checkpoint.model.device) if perceptual else None
    sampling, sprite = sampling or checkpoint.sampling, sprite or cut_sprite(recording)
    chosen = split_in_two(recording)[1] if episodes is None else np.asarray(episodes)
    latent, choices = None, None
    if checkpoint.model.latent_actions is not None:
        pressed = _pressed(checkpoint, recording) if buttons else None  # or says what is wrong before minutes of work
        found, latent = _latent(checkpoint.model.latent_actions, recording, chosen, seed)
        recording, choices = pressed or (found, None)
    check_actions(checkpoint, recording)
    clip = Clips(recording, context + horizon, chosen).sample(np.random.default_rng(seed), clips)
    play = _Play(checkpoint, sampling, clip["frames"][:, :context], seed, choices)
    figures = {
        "game": checkpoint.game["name"],
        "settings": {
            "clips": clips,
            "context": context,
            "horizon": horizon,
            "seed": seed,
            "buttons": choices is not None,
            **asdict(sampling),
        },
        **_short_term(play, clip, sprite, measure, out),
        "latent": latent,
        "long": None,
        "rewards": None,
    }
    if long_steps:
        figures["rewards"] = score_rewards(checkpoint, recording, chosen, sampling=sampling, seed=seed)
        figures["long"] = long_dreams(checkpoint, recording, chosen, long_steps, dreams, sampling, seed, sprite, out)
    return plain(figures)


def _latent(
    model: LatentActionModel, recording: Recording, episodes: np.ndarray, seed: int
) -> tuple[Recording, dict[str, Any] | None]:
    """The recording under latent actions, and how they match its own."""
    found = with_latent_actions(recording, model)
    if not recording.has_actions:
        return found, None
    return found, compare_actions(*found_and_true(found, recording, episodes), seed)


def _pressed(checkpoint: Checkpoint, recording: Recording) -> tuple[Recording, np.ndarray]:
    """The recording under the latent actions that stand for its own; and for all buttons, int64 (buttons,)."""
    buttons = checkpoint.find_buttons()
    _check_same([action["meaning"] for action in buttons.actions], recording)
    codes, game = np.array(buttons.codes), recording.header["game"] | {"actions": checkpoint.game["actions"]}
    return recording.with_actions(game, [codes[recording.steps(index)[0]] for index in range(len(recording))]), codes


class _Play:
    """Everything about the dreams of an evaluation but their actions; random ones are drawn from `choices`, by default
    all of the model's."""

    def __init__(
        self, checkpoint: Checkpoint, sampling: Sampling, prompts: Frames, seed: int, choices: np.ndarray | None = None
    ):
        self.checkpoint, self.sampling, self.prompts = checkpoint, sampling, prompts
        self.choices = np.arange(len(checkpoint.game["actions"])) if choices is None else choices
        self.context, self.seed = prompts.shape[1], seed
        self.seeds = np.random.default_rng(seed).integers(2**63, size=len(prompts))

    def dream(self, actions: np.ndarray) -> Frames:
        """Frames uint8 (b, k, s, s, 3) under actions (b, c - 1 + k), those between the context frames included."""
        led, taken = actions[:, : self.context - 1], actions[:, self.context - 1 :]
        return dream(self.checkpoint, self.prompts, led, taken, self.seeds, self.sampling)

    def at_once(self, actions: np.ndarray) -> Frames:
        """The same, predicted in a single pass."""
        led, taken = actions[:, : self.context - 1], actions[:, self.context - 1 :]
        return dream_at_once(self.checkpoint, self.prompts, led, taken, self.seeds, self.sampling)


def _short_term(
    play: _Play,
    clip: dict[str, np.ndarray],
    sprite: SpriteDetector | None,
    measure: PerceptualScore | None,
    out: str | Path | None,
) -> dict[str, Any]:
    """All figures of the clips: frames uint8 (b, c + h, s, s, 3), actions int64 (b, c + h - 1)."""
    frames, context = clip["frames"], play.context
    moving = np.stack([moving_pixels(one) for one in frames])
    started = time.perf_counter()
    predicted = play.dream(clip["actions"])
    speed = predicted.shape[0] * predicted.shape[1] / (time.perf_counter() - started)
    at_once = play.at_once(clip["actions"])
    real, seen = frames[:, context:], decode(play.checkpoint.model, encode(play.checkpoint.model, frames))
    likeness = _likeness(predicted, real)
    repeated = np.repeat(frames[:, context - 1 : context], real.shape[1], 1)
    if out is not None:
        rows = np.stack([x[:PICTURED] for x in (real, predicted, repeated)], 1)
        write_strip(Path(out) / "prediction.png", rearrange(rows, "b row t h w k -> (b row) t h w k"))
    return {
        "reconstruction": {
            "psnr": psnr(seen, frames).mean(),
            "moving_psnr": moving_psnr(seen, frames, moving),
            "ssim": float(np.mean(_ssim(seen, frames))),
            "frechet": _frechet(seen, frames),
        },
        "prediction": _closeness(predicted, real, moving[:, context:], "")
        | _closeness(repeated, real, moving[:, context:], "repeat_")
        | likeness
        | {"ssim_t4": likeness["ssim"][AT - 1]},
        "single_pass": _closeness(at_once, real, moving[:, context:], "")
        | _likeness(at_once, real)
        | {"control": _control(play, play.at_once, clip["actions"], at_once, real)},
        "control": _control(play, play.dream, clip["actions"], predicted, real),
        "perceptual": measure
        and {
            "reconstruction": measure(seen, frames),
            "prediction": measure(predicted, real),
            "single_pass": measure(at_once, real),
            "repeat": measure(repeated, real),
        },
        "sprite": sprite and sprite_scores(sprite, real, predicted, seen[:, context:]),
        "speed": {"frames_per_second": speed, "batch": min(len(frames), TOGETHER)},
    }


def _control(
    play: _Play, predict: Callable[[np.ndarray], Frames], actions: np.ndarray, predicted: Frames, real: Frames
) -> dict[str, float]:
    """Delta-PSNR in both senses, with standard errors over clips; `predicted` are the frames under the true actions."""
    rng = np.random.default_rng([play.seed, 1])
    last, distinct = play.context - 2 + AT, np.unique(play.choices)
    true = actions[:, : last + 1]
    every, one = true.copy(), true.copy()
    every[:, play.context - 1 :] = play.choices[rng.integers(len(play.choices), size=(len(true), AT))]
    others = np.searchsorted(distinct, true[:, last]) + rng.integers(1, max(len(distinct), 2), len(true))
    one[:, last] = distinct[others % len(distinct)]
    target, figures = real[:, AT - 1], {}
    for name, taken in (("delta_psnr", every), ("delta_psnr_last_action", one)):
        loss = psnr(predicted[:, AT - 1], target) - psnr(predict(taken)[:, -1], target)
        figures[name] = loss.mean()
        figures[f"{name}_error"] = loss.std(ddof=1) / math.sqrt(len(loss)) if len(loss) > 1 else math.nan
    return figures


def _closeness(shown: Frames, real: Frames, moving: np.ndarray, prefix: str) -> dict[str, list[float]]:
    """PSNR of frames uint8 (b, h, s, s, 3) by step, in three senses."""
    steps = range(shown.shape[1])
    everywhere = np.ones_like(moving[:, 0])
    return {
        f"{prefix}psnr": list(psnr(shown, real).mean(0)),
        f"{prefix}pooled_psnr": [moving_psnr(shown[:, i], real[:, i], everywhere) for i in steps],
        f"{prefix}moving_psnr": [moving_psnr(shown[:, i], real[:, i], moving[:, i]) for i in steps],
    }


def _likeness(shown: Frames, real: Frames) -> dict[str, Any]:
    """Structural similarity by step, and the Frechet distance over all steps."""
    return {"ssim": _ssim(shown, real), "frechet": _frechet(shown, real)}


def _ssim(shown: Frames, real: Frames) -> list[float]:
    """By step: all pictures of a long evaluation at once would fill the memory."""
    return [ssim(shown[:, i], real[:, i]) for i in range(shown.shape[1])]


def _frechet(shown: Frames, real: Frames) -> float:
    return frechet_distance(thumbnails(shown), thumbnails(real))


def check_actions(checkpoint: Checkpoint, recording: Recording) -> None:
    """Raises ConfigError where the recording's actions are not those of the model."""
    _check_same([action["meaning"] for action in checkpoint.game["actions"]], recording)


def _check_same(mine: list[str], recording: Recording) -> None:
    theirs = list(recording.header["actions"])
    if mine != theirs:
        raise ConfigError(
            f"the model's actions are {', '.join(mine)}; those of {recording.folder} are {', '.join(theirs)}: "
            "give a recording of the model's own game with --data"
        )
