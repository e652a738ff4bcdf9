"""Trains a latent action model alone, and compares its actions with the recorded ones if there are any.

python training/train_lam.py --data ~/.local/share/genie_gym/data/Airstriker-Genesis --out runs/lam --num-actions 8
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
import tyro
from safetensors.torch import save_file

from genie_gym import EpisodeDataset
from genie_gym.data import SequenceDataset, split
from genie_gym.models.lam import LatentActionModel
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.presets import get_preset, timed
from genie_gym.training.stages import train_lam
from genie_gym.world_model.actions.latent_relabel import compare_actions, paired_actions, relabel_with_latent_actions


def main(
    data: Path, out: Path, num_actions: int = 8, preset: str = "tiny", minutes: float | None = None, seed: int = 0
) -> StageReport:
    """Train a latent action model. Resumable: rerun the same command.

    Args:
        data: Folder of a dataset; its actions are not used.
        out: Folder of the training state, TensorBoard's curves and, at the end, lam.safetensors.
        num_actions: Number of latent actions.
        preset: Sizes and recipe: tiny, small or paper.
        minutes: Training time; the preset's number of steps by default.
        seed: Random seed.
    """
    chosen, dataset = get_preset(preset), EpisodeDataset(data)
    train_episodes, held_out_episodes = split(dataset)
    train = SequenceDataset(dataset, chosen.lam_clip_length, train_episodes, in_memory=True)
    held_out = SequenceDataset(dataset, chosen.lam_clip_length, held_out_episodes)

    torch.manual_seed(seed)
    lam = LatentActionModel(replace(chosen.lam, codes=num_actions))
    report = train_lam(lam, train, held_out, timed(chosen.lam_training, minutes, 1.0, seed), out)
    if report.finished:
        sizes = {"config": json.dumps(asdict(lam.config))}  # all that train_dynamics.py needs to load it
        save_file({k: v.contiguous() for k, v in lam.state_dict().items()}, out / "lam.safetensors", sizes)
        print(f"{report.metrics['psnr']:.2f} dB, repeated frames {report.metrics['repeat_psnr']:.2f} dB; in {out}")
    if report.finished and dataset.has_actions:
        pairs = paired_actions(relabel_with_latent_actions(dataset, lam), dataset, held_out_episodes)
        agreement = compare_actions(*pairs, seed)  # 1 if each latent action is one recorded action
        print(f"mutual information with recorded actions {agreement.nmi:.3f}, by chance {agreement.shuffled_nmi:.3f}")
    return report


if __name__ == "__main__":
    tyro.cli(main)
