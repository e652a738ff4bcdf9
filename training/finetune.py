"""Finetunes a world model on another dataset, and evaluates it there before and after.

python training/finetune.py --checkpoint Airstriker --data my/dataset --out my/checkpoint
"""

from pathlib import Path

import tyro

from genie_gym import Checkpoint, EpisodeDataset, evaluate
from genie_gym import finetune as finetune_checkpoint
from genie_gym.world_model.resolve import resolve_checkpoint


def main(
    checkpoint: str,
    data: tuple[Path, ...],
    out: Path,
    old: tuple[Path, ...] = (),
    decoder_steps: int = 1000,
    dynamics_steps: int = 3000,
    clips: int = 64,
    seed: int = 0,
) -> dict[str, float]:
    """Finetune a world model, and compare it with the one it started from. Resumable: rerun the same command.

    Args:
        checkpoint: Name of a game, checkpoint folder, or id of a model on the Hugging Face hub.
        data: Folders of the new datasets; both models are evaluated on held-out episodes of the last one.
        out: Folder of the finetuned checkpoint.
        old: Folders of earlier datasets, so that what was learned from them is not forgotten.
        decoder_steps: Optimiser steps of the tokenizer's decoder.
        dynamics_steps: Optimiser steps of the dynamics.
        clips: Number of clips to evaluate on.
        seed: Random seed.
    """
    report = finetune_checkpoint(
        checkpoint,
        data=data,
        old=old,
        out=out,
        run=out / "run",
        decoder_steps=decoder_steps,
        dynamics_steps=dynamics_steps,
        seed=seed,
    )
    if report.checkpoint is None:
        return {}
    dataset, before = EpisodeDataset(data[-1]), Checkpoint.from_pretrained(resolve_checkpoint(checkpoint))
    models = {"finetuned": Checkpoint.load(report.checkpoint)}
    if before.game["actions"] == models["finetuned"].game["actions"]:  # else it cannot be given the new actions
        models["before"] = before
    psnr = {}
    for name, model in models.items():
        scores = evaluate(model, dataset, clips=clips, long_steps=0, seed=seed)
        psnr[name] = scores.prediction.psnr[0]
        delta = scores.controllability.delta_psnr
        print(f"{name}: {psnr[name]:.2f} dB one step ahead, {delta:.2f} dB lost with other actions")
    return psnr


if __name__ == "__main__":
    tyro.cli(main)
