"""Trains the dynamics on the tokens of a trained tokenizer, and saves the world model as a checkpoint.

python training/train_dynamics.py --data ~/.local/share/genie_gym/data/Airstriker-Genesis --out runs/dynamics \
    --tokenizer runs/tokenizer/tokenizer.safetensors
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import tyro
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from genie_gym import Checkpoint, EpisodeDataset
from genie_gym.data import SequenceDataset, split
from genie_gym.models.architectures import tokenizer_config
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.presets import get_preset, timed
from genie_gym.training.records import data_used, stage_record
from genie_gym.training.stages import train_dynamics
from genie_gym.training.windows import draw_initial_contexts, usable_lengths
from genie_gym.world_model import WorldModel
from genie_gym.world_model.actions.latent_relabel import relabel_with_latent_actions
from genie_gym.world_model.metadata import TrainingMetadata


def load(build: Callable[[dict[str, Any]], nn.Module], path: Path) -> Any:
    """Load what train_tokenizer.py or train_lam.py has saved, into the model that `build` makes of its sizes."""
    with safe_open(path, "pt") as file:
        model = build(json.loads(file.metadata()["config"]))
    model.load_state_dict(load_file(path))
    return model.eval()


def main(
    data: Path,
    tokenizer: Path,
    out: Path,
    lam: Path | None = None,
    preset: str = "tiny",
    minutes: float | None = None,
    seed: int = 0,
) -> StageReport:
    """Train the dynamics. Resumable: rerun the same command.

    Args:
        data: Folder of a dataset.
        tokenizer: File of a tokenizer of the same preset, from train_tokenizer.py.
        out: Folder of the training state, TensorBoard's curves and, at the end, the checkpoint.
        lam: File of a latent action model, from train_lam.py, whose actions replace the recorded ones.
        preset: Sizes and recipe: tiny, tiny-transformer, small or paper.
        minutes: Training time; the preset's number of steps by default.
        seed: Random seed.
    """
    chosen, dataset = get_preset(preset), EpisodeDataset(data)
    frozen = load(lambda sizes: tokenizer_config(sizes).build(), tokenizer)
    latent = load(lambda sizes: LatentActionModel(LatentActionConfig(**sizes)), lam) if lam else None
    dataset = relabel_with_latent_actions(dataset, latent) if latent else dataset
    train_episodes, held_out_episodes = split(dataset)
    clip_lengths, window = usable_lengths(chosen, int(dataset.lengths[train_episodes].max()))
    train = SequenceDataset(dataset, window, train_episodes, in_memory=True)
    held_out = SequenceDataset(dataset, clip_lengths[0], held_out_episodes)

    torch.manual_seed(seed)
    dynamics = chosen.dynamics_for(len(dataset.header["game"]["actions"])).build()
    recipe = timed(chosen.dynamics_training, minutes, 1.0, seed)
    report = train_dynamics(
        dynamics, frozen, train, held_out, recipe, out, clip_lengths, chosen.dynamics_moving_choices
    )
    if report.finished:
        model = WorldModel(frozen.cpu(), dynamics.cpu(), latent)
        used, stages = (data_used(dataset, train_episodes),), {"dynamics": stage_record(report)}
        metadata = TrainingMetadata(preset=preset, seed=seed, data=used, stages=stages)
        contexts = draw_initial_contexts(dataset, train_episodes, seed)
        Checkpoint(model, dataset.header["game"], contexts, metadata=metadata).save(out / "checkpoint")
        print(f"play it with: genie-gym play {out / 'checkpoint'}")
    return report


if __name__ == "__main__":
    tyro.cli(main)
