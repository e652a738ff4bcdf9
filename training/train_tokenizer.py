"""Trains a video tokenizer alone, the first stage of a world model, and reports how well it reconstructs frames.

python training/train_tokenizer.py --data ~/.local/share/genie_gym/data/Airstriker-Genesis --out runs/tokenizer
"""

import json
from pathlib import Path

import torch
import tyro
from safetensors.torch import save_file

from genie_gym import EpisodeDataset
from genie_gym.data import SequenceDataset, split
from genie_gym.models.architectures import with_architecture
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.presets import get_preset, timed
from genie_gym.training.stages import train_tokenizer


def main(data: Path, out: Path, preset: str = "tiny", minutes: float | None = None, seed: int = 0) -> StageReport:
    """Train a tokenizer. Resumable: rerun the same command.

    Args:
        data: Folder of a dataset.
        out: Folder of the training state, TensorBoard's curves and, at the end, tokenizer.safetensors.
        preset: Sizes and recipe: tiny, tiny-transformer, small or paper.
        minutes: Training time; the preset's number of steps by default.
        seed: Random seed.
    """
    chosen, dataset = get_preset(preset), EpisodeDataset(data)
    train_episodes, held_out_episodes = split(dataset)  # by a hash of their ids: more episodes move none of them
    length = chosen.tokenizer_clip_length
    train = SequenceDataset(dataset, length, train_episodes, in_memory=True)
    held_out = SequenceDataset(dataset, length, held_out_episodes)

    torch.manual_seed(seed)
    tokenizer = chosen.tokenizer.build()
    recipe = timed(chosen.tokenizer_training, minutes, 1.0, seed)
    report = train_tokenizer(tokenizer, train, held_out, recipe, out)
    if report.finished:
        sizes = {
            "config": json.dumps(with_architecture(tokenizer.config))
        }  # all that train_dynamics.py needs to load it
        save_file({k: v.contiguous() for k, v in tokenizer.state_dict().items()}, out / "tokenizer.safetensors", sizes)
        print(f"{report.metrics['psnr']:.2f} dB with {report.metrics['codes']:.0f} codes; in {out}")
    return report


if __name__ == "__main__":
    tyro.cli(main)
