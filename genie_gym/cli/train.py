"""Commands to train and finetune world models."""

import shlex
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from genie_gym.cli.show import show
from genie_gym.training.config import (
    FinetuneRunConfig,
    MapActionsConfig,
    TerminationTrainConfig,
    TrainConfig,
    UpscalerTrainConfig,
)

if TYPE_CHECKING:  # loads torch
    from genie_gym.training.checks.verdict import Verdict

__all__ = ["finetune", "map_actions", "train", "train_termination", "train_upscaler"]

INTERRUPTED = 130  # exit code, as shells know it


def train(config: Annotated[TrainConfig, arg(name="")]) -> int:
    """Train a world model on recorded episodes. Resumable: rerun the same command; more --minutes train it longer."""
    from genie_gym.training import world_model

    report = world_model.train(config)
    if report.checkpoint is None:
        return _interrupted()
    name = shlex.quote(str(config.out or report.game))
    _print_verdict(report.verdict)
    data = f" --data {shlex.quote(str(config.data))}" if config.data else ""
    if config.games:
        name, data = f"{name} --game GAME", f"{data}/GAME" if data else ""
    print(f"world model of {report.game} in {report.checkpoint}; score it with: genie-gym evaluate {name}{data}")
    print(f"play it with: genie-gym play {name}")
    return 0


def finetune(config: Annotated[FinetuneRunConfig, arg(name="")]) -> int:
    """Finetune a world model on other episodes, with the same actions or others. Resumable: rerun the same command."""
    from genie_gym.training import finetune as finetuning

    report = finetuning.finetune(config)
    if report.checkpoint is None:
        return _interrupted()
    _print_verdict(report.verdict)
    place = shlex.quote(str(report.checkpoint))
    print(f"finetuned world model in {place}; play it with: genie-gym play {place}")
    return 0


def train_upscaler(config: Annotated[UpscalerTrainConfig, arg(name="")]) -> int:
    """Train an upscaler to 256x256 pixels. Resumable: rerun the same command; more --minutes train it longer."""
    from genie_gym.training.add_upscaler import add_upscaler

    report = add_upscaler(config)
    if report.checkpoint is None:
        return _interrupted()
    psnr, bicubic = (report.training.metrics[name] for name in ("psnr", "bicubic_psnr"))
    print(f"{psnr:.2f} dB on held-out frames, where bicubic enlarging has {bicubic:.2f}")
    name = shlex.quote(str(config.out or config.checkpoint))
    print(f"upscaler in {report.checkpoint}; see it with: genie-gym play {name} --upscale")
    return 0


def train_termination(config: Annotated[TerminationTrainConfig, arg(name="")]) -> int:
    """Train the head that tells the ends of episodes, and nothing else. Resumable: rerun the same command."""
    from genie_gym.training.replace_termination import replace_termination

    report = replace_termination(config)
    if report.checkpoint is None:
        return _interrupted()
    recall, alarms = (report.training.metrics[name] for name in ("recall", "false_alarms"))
    print(f"of held-out episodes {recall:.0%} of the ends are told at their step; false alarms a step: {alarms:.1e}")
    print(f"world model in {report.checkpoint}; frames and rewards are as before")
    return 0


def map_actions(config: Annotated[MapActionsConfig, arg(name="")]) -> int:
    """Find the real game's actions among a model's latent actions, from episodes with recorded actions."""
    from genie_gym.training.map_actions import map_actions as find_actions
    from genie_gym.world_model.actions.fit_action_map import summary

    report = find_actions(config)
    show(summary(report.action_map))
    name = shlex.quote(str(config.out or config.checkpoint))
    print(f"action map in {report.checkpoint}; play with the game's own actions: genie-gym play {name}")
    return 0


def _print_verdict(verdict: "Verdict | None") -> None:
    if verdict is not None:
        print(verdict)


def _interrupted() -> int:
    print("interrupted and saved; rerun the same command to resume")
    return INTERRUPTED
