"""Refits a world model: an explorer collects episodes that the model is uncertain of, and the model learns from them.

python training/refit.py --game Airstriker-Genesis --rounds 3 --out my/checkpoint
"""

from pathlib import Path

import tyro

from genie_gym import refit
from genie_gym.refitting.results import RefitReport


def main(
    game: str,
    out: Path | None = None,
    checkpoint: str | None = None,
    data: Path | None = None,
    run: Path | None = None,
    rounds: int = 3,
    policy_source: str = "autoexplore",
    explore_steps: int = 100_000,
    frames: int = 20_000,
    decoder_steps: int = 1000,
    dynamics_steps: int = 3000,
    clips: int = 128,
    seed: int = 0,
) -> RefitReport:
    """Explore, collect, finetune and evaluate in rounds. Resumable: rerun the same command.

    Args:
        game: Name of a game whose emulator is installed.
        out: Folder of the refitted checkpoint, in addition to the run's.
        checkpoint: Checkpoint to start from; the game's own weights by default.
        data: Folder of the dataset the model was trained on; the game's own by default.
        run: Folder of everything the rounds write; below the data folder by default.
        rounds: Number of rounds.
        policy_source: Who collects: autoexplore, or random or sticky as a control.
        explore_steps: Steps in the real game that train the explorer in each round.
        frames: Frames to collect in each round.
        decoder_steps: Optimiser steps of the tokenizer's decoder.
        dynamics_steps: Optimiser steps of the dynamics.
        clips: Number of clips to evaluate on.
        seed: Random seed.
    """
    report = refit(
        game,
        out=out,
        checkpoint=checkpoint,
        data=data,
        run=run,
        rounds=rounds,
        policy_source=policy_source,
        explore_steps=explore_steps,
        frames=frames,
        decoder_steps=decoder_steps,
        dynamics_steps=dynamics_steps,
        clips=clips,
        seed=seed,
    )
    for number, one in enumerate(report.rounds, 1):
        for episodes, score in one.scores.items():
            base, refitted = score.base.psnr[0], score.refitted.psnr[0]
            print(f"round {number}, {episodes} episodes: {base:.2f} dB one step ahead before, {refitted:.2f} dB now")
    return report


if __name__ == "__main__":  # needed: the emulators' processes import this script
    tyro.cli(main)
