"""What latent actions find: `python -m benchmarks.quality.latent_actions GAME --work FOLDER --minutes 60`.

A latent action model, and a world model of its latent actions, are trained on episodes whose recorded actions they do
not see. Then, on held-out episodes: how well latent actions match the recorded ones, beside the same in random order;
how evenly they are used; how many steps the action map explains; and whether the world model follows them, that is,
whether the latent action model infers from an imagined rollout the very latent action that was taken. Models are kept
in --work. Resumable: rerun the same command. Writes latent_actions-<game>.json, .md and a strip .png (a row for each
latent action, held from one initial context) to --out, by default benchmarks/results.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.evaluation import evaluate_model, fourth_step
from benchmarks.common.experiment import Stopped, run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, markdown_table, write_page
from genie_gym.analysis.actions import rollouts_by_action
from genie_gym.data import EpisodeDataset, SequenceDataset, split
from genie_gym.evaluation.report import write_grid
from genie_gym.metrics.image import Frames
from genie_gym.metrics.latent_actions import perplexity
from genie_gym.models.lam import LatentActionModel
from genie_gym.training.world_model import train
from genie_gym.utils import paths
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.actions.fit_action_map import fit_action_map
from genie_gym.world_model.actions.latent_relabel import (
    infer_rollout_actions,
    paired_actions,
    relabel_with_latent_actions,
)
from genie_gym.world_model.metadata import TrainingMetadata

CONTEXT, STEPS = 4, 8  # frames of an initial context, and steps that a latent action is held
COLUMNS = {
    "nmi": "mutual information",
    "shuffled_nmi": "shuffled",
    "accuracy": "one-to-one accuracy",
    "shuffled_accuracy": "shuffled",
    "most_frequent": "most frequent action",
    "codes": "latent actions used",
    "perplexity": "perplexity",
    "followed": "followed",
    "explained": "explained by the action map",
    "one_code": "by one latent action",
    "delta_psnr": "delta-PSNR",
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", help="name of a game that has been recorded")
    parser.add_argument("--work", type=Path, required=True, help="folder of the models")
    parser.add_argument("--data", type=Path, help="folder of the dataset; the game's own by default")
    parser.add_argument("--recipes", nargs="+", default=["staged"], choices=("staged", "joint"), help="ways to train")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument("--codes", type=int, default=8, help="number of latent actions")
    parser.add_argument("--preset", default="tiny-transformer", help="preset of the models")
    parser.add_argument("--minutes", type=float, help="duration of each training; the preset's steps by default")
    parser.add_argument("--contexts", type=int, default=32, help="initial contexts from which latent actions are held")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    options, machine = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    dataset = EpisodeDataset(options.data or paths.data_dir(options.game))
    path = options.out / f"latent_actions-{options.game}"
    rows: list[Figures] = []
    for recipe in options.recipes:
        for seed in range(options.seeds):
            checkpoint = trained(recipe, seed, options)
            strip = None if rows else path.with_suffix(".png")
            rows.append({"recipe": recipe, "seed": seed, **score(checkpoint, dataset, options.contexts, strip)})
            print(table(rows), flush=True)
    policies = sorted({run["policy"] for run in dataset.header["runs"]})
    data = {"policies": policies, "episodes": len(dataset), "frames": int(dataset.lengths.sum())}
    settings = {key: value for key, value in vars(options).items() if key not in ("work", "out", "data")}
    result = {"settings": settings, "data": data, "models": rows, "machine": machine}
    write_page(path, result, page(result))


def trained(recipe: str, seed: int, options: argparse.Namespace) -> Checkpoint:
    """Return a world model of latent actions, trained unless it is in --work already."""
    folder = options.work / f"{options.game}-{recipe}-{seed}"
    if not (folder / "weights" / "config.json").exists():
        report = train(
            options.game,
            preset=options.preset,
            minutes=options.minutes,
            data=options.data,
            out=folder / "weights",
            run=folder / "run",
            seed=seed,
            latent_actions=options.codes,
            joint=recipe == "joint",
        )
        if not report.finished:
            raise Stopped(f"{recipe} training, seed {seed}")
    return Checkpoint.load(folder / "weights")


def score(checkpoint: Checkpoint, dataset: EpisodeDataset, contexts: int, strip: Path | None) -> Figures:
    """Return all figures of a world model on held-out episodes."""
    model = checkpoint.model.latent_actions
    assert model is not None
    relabelled, held_out = relabel_with_latent_actions(dataset, model), split(dataset)[1]
    inferred, _ = paired_actions(relabelled, dataset, held_out)
    usage = np.bincount(inferred, minlength=len(checkpoint.game["actions"])) / len(inferred)
    clip = SequenceDataset(relabelled, CONTEXT, held_out, include_terminal=False).sample(
        np.random.default_rng(0), contexts
    )
    frames = rollouts_by_action(checkpoint, clip["frames"], clip["actions"], STEPS)
    if strip is not None:
        write_strip(strip, clip["frames"][0, -1], frames[0])
    followed = followed_shares(clip["frames"], frames, model)
    figures = evaluate_model(checkpoint, dataset, clips=64, horizon=4, long_steps=0).to_dict()
    fit = to_jsonable(fit_action_map(checkpoint, dataset).fit)
    fourth = fourth_step(figures)["autoregressive"]
    return {
        **fit.pop("agreement"),
        **fit,
        "usage": usage.tolist(),
        "perplexity": perplexity(usage),
        "followed": float(followed.mean()),
        "followed_by_code": followed.tolist(),
        "psnr_t4": fourth["psnr"],
        "delta_psnr": fourth["delta_psnr"],
        "training": checkpoint.metadata.to_dict(),
    }


def followed_shares(contexts: Frames, frames: Frames, model: LatentActionModel) -> np.ndarray:
    """Return how often each latent action is inferred from the frames that were imagined under it: float (a,).

    Args:
        contexts: Initial contexts, uint8 (b, c, s, s, 3).
        frames: Imagined frames, uint8 (b, a, k, s, s, 3).
        model: The latent action model.
    """
    inferred = infer_rollout_actions(contexts, frames, model)
    return (inferred == np.arange(inferred.shape[1])[:, None]).mean((0, 2))


def write_strip(path: Path, start: Frames, frames: Frames) -> None:
    """Write a row for each latent action: the last real frame uint8 (s, s, 3), then imagined ones (a, k, s, s, 3)."""
    first = np.broadcast_to(start, (len(frames), 1, *start.shape))
    write_grid(path, np.concatenate([first, frames], 1))


def table(rows: list[Figures]) -> str:
    """Return a Markdown table with a row for each model."""
    cells = [
        [
            row["recipe"],
            row["seed"],
            *(f"{row[key]:.3f}" if isinstance(row[key], float) else row[key] for key in COLUMNS),
        ]
        for row in rows
    ]
    return markdown_table(["training", "seed", *COLUMNS.values()], cells)


def page(result: Figures) -> list[str]:
    """Return the paragraphs: the table, and for the first model the action map and the use of each latent action."""
    settings, data, first = result["settings"], result["data"], result["models"][0]
    stages = TrainingMetadata.from_dict(first["training"]).stages
    training = ", ".join(f"{name.replace('_', ' ')} {stage}" for name, stage in stages.items())
    actions = [[one["meaning"], one["code"], one["steps"], one["explained"]] for one in first["actions"]]
    used = zip(first["usage"], first["followed_by_code"], strict=True)
    codes = [[code, f"{share:.3f}", f"{followed:.3f}"] for code, (share, followed) in enumerate(used)]
    return [
        f"# Latent actions of {settings['game']}",
        f"{settings['codes']} latent actions found in the frames alone of {data['frames']:,} frames "
        f"({', '.join(data['policies'])}), scored on held-out episodes; the script's docstring explains the figures.",
        table(result["models"]),
        f"The first model: {training}.",
        "Its action map:",
        markdown_table(["action", "latent action", "steps", "explained"], actions),
        f"Its latent actions ({1 / settings['codes']:.3f} would be followed by chance):",
        markdown_table(["latent action", "used", "followed"], codes),
        f"Each row of the strip holds one latent action for {STEPS} steps, from the real frame on the left:",
        f"![strip](latent_actions-{settings['game']}.png)",
    ]


if __name__ == "__main__":
    sys.exit(run_script(main))
