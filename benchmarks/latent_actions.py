"""What latent actions find: `python benchmarks/latent_actions.py Airstriker-Genesis --work FOLDER --minutes 60`.

A latent action model, and a world of its codes, are fitted to recorded play whose actions they are not shown. Then, on
held-out episodes: how well codes match the true actions, beside the same codes shuffled; how evenly codes are used; how
many steps the map from buttons to codes explains; and whether the world obeys, that is, whether a code held in a dream
looks to the latent action model like that very code. Fits are kept in --work, and the same command goes on where it
stopped. Writes latent_actions-<game>.json, a table .md and a strip .png (a row for each code, held from one start)
below benchmarks/results.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, machine_facts, write_result

from genie_gym import paths
from genie_gym.data import Clips, Recording, split
from genie_gym.metrics import perplexity
from genie_gym.pipeline.button_map import map_buttons
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.figures import write_strip
from genie_gym.pipeline.fit_world import fit_world
from genie_gym.pipeline.latent_play import found_and_true, see_codes, with_latent_actions
from genie_gym.pipeline.studies import action_strips
from genie_gym.world_model import Checkpoint

CONTEXT, STEPS = 4, 8  # frames a dream starts from, and how long a code is held
STAGES = ("tokenizer", "latent actions", "dynamics")
COLUMNS = {
    "nmi": "mutual information",
    "shuffled_nmi": "shuffled",
    "accuracy": "one-to-one accuracy",
    "shuffled_accuracy": "shuffled",
    "most_frequent": "most frequent action",
    "codes": "codes used",
    "perplexity": "perplexity",
    "obeyed": "obeyed",
    "explained": "explained by the button map",
    "one_code": "by one code",
    "delta_psnr": "delta-PSNR",
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", help="name of a game with recorded play")
    parser.add_argument("--work", type=Path, required=True, help="folder of fits")
    parser.add_argument("--data", type=Path, help="folder of the recording; the game's own by default")
    parser.add_argument("--ways", nargs="+", default=["staged"], choices=("staged", "joint"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--codes", type=int, default=8)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--minutes", type=float, help="of each fit; the preset's steps by default")
    parser.add_argument("--starts", type=int, default=32, help="starts from which every code is held")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options, facts = read_options(), machine_facts()
    torch.set_num_threads(options.threads)
    recording = Recording(options.data or paths.data_dir(options.game))
    rows: list[dict[str, Any]] = []
    for way in options.ways:
        for seed in range(options.seeds):
            checkpoint = fitted(way, seed, options)
            strip = None if rows else options.out / f"latent_actions-{options.game}.png"
            rows.append({"way": way, "seed": seed, **score(checkpoint, recording, options.starts, strip)})
            print(table(rows), flush=True)
    settings = {key: value for key, value in vars(options).items() if key not in ("work", "out", "data")}
    policies = sorted({run["policy"] for run in recording.header["runs"]})
    data = {"policies": policies, "episodes": len(recording), "frames": int(recording.lengths.sum())}
    kept = {"settings": settings, "data": data, "fits": rows}
    path = write_result(options.out / f"latent_actions-{options.game}.json", kept, facts)
    path.with_suffix(".md").write_text(page(options, data, rows))
    print(f"kept in {path}")


def fitted(way: str, seed: int, options: argparse.Namespace) -> Checkpoint:
    """A world of latent actions; what is in --work already is not fitted again."""
    folder = options.work / f"{options.game}-{way}-{seed}"
    weights = folder / "weights"
    if not (weights / "config.json").exists():
        report = fit_world(
            options.game,
            size=options.preset,
            minutes=options.minutes,
            data=options.data,
            out=weights,
            run=folder / "run",
            seed=seed,
            latent_actions=options.codes,
            joint=way == "joint",
        )
        if not report.finished:
            raise SystemExit("stopped and saved; the same command goes on from here")
    return Checkpoint.load(weights)


def score(checkpoint: Checkpoint, recording: Recording, starts: int, strip: Path | None) -> dict[str, Any]:
    """All figures, of held-out episodes."""
    found, held_out = with_latent_actions(recording, checkpoint.model.latent_actions), split(recording)[1]
    figures = map_buttons(checkpoint, recording).figures
    shares = np.bincount(found_and_true(found, recording, held_out)[0], minlength=len(checkpoint.game["actions"]))
    shares = shares / shares.sum()
    clip = Clips(found, CONTEXT, held_out, ends=False).sample(np.random.default_rng(0), starts)
    frames = action_strips(checkpoint, clip["frames"], clip["actions"], STEPS)
    seen = see_codes(clip["frames"], frames, checkpoint.model.latent_actions)
    obeyed = (seen == np.arange(seen.shape[1])[:, None]).mean((0, 2))
    if strip is not None:
        first = np.broadcast_to(clip["frames"][0, -1], (*frames.shape[1:2], 1, *frames.shape[3:]))
        write_strip(strip, np.concatenate([first, frames[0]], 1))
    scored = evaluate(checkpoint, recording, clips=64, horizon=4, long_steps=0)
    return {
        **figures,
        "usage": shares.tolist(),
        "perplexity": perplexity(shares),
        "obeyed": float(obeyed.mean()),
        "obeyed_by_code": obeyed.tolist(),
        "psnr_t4": scored["prediction"]["psnr"][3],
        "delta_psnr": scored["control"]["delta_psnr"],
        "made": checkpoint.provenance,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row for each fit."""
    lines = ["| fit | seed | " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * (len(COLUMNS) + 2)]
    for row in rows:
        cells = (f"{row[key]:.3f}" if isinstance(row[key], float) else str(row[key]) for key in COLUMNS)
        lines.append(f"| {row['way']} | {row['seed']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(options: argparse.Namespace, data: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """The table, and of the first fit what each button became and how often each code is used and obeyed."""
    first = rows[0]
    made = ", ".join(f"{stage} {first['made'][stage]}" for stage in STAGES if stage in first["made"])
    buttons = [f"| {b['meaning']} | {b['code']} | {b['steps']} | {b['explained']} |" for b in first["buttons"]]
    used = zip(first["usage"], first["obeyed_by_code"], strict=True)
    codes = [f"| {code} | {share:.3f} | {obeyed:.3f} |" for code, (share, obeyed) in enumerate(used)]
    return "\n".join(
        [
            f"# Latent actions of {options.game}\n",
            f"{options.codes} codes found in the pictures alone of {data['frames']:,} frames of play "
            f"({', '.join(data['policies'])}),\nscored on held-out episodes; see the script's first lines for what the "
            "figures are.\n",
            table(rows),
            f"The first fit: {made}.\n",
            f"Buttons of the first fit:\n\n| button | code | steps | explained |\n{'|---' * 4}|",
            *buttons,
            f"\nIts codes ({1 / options.codes:.3f} would be obeyed by chance):\n",
            f"| code | used | obeyed |\n{'|---' * 3}|",
            *codes,
            f"\nEach row of the strip holds one code for {STEPS} steps, from the real frame on the left:\n",
            f"![strip](latent_actions-{options.game}.png)\n",
        ]
    )


if __name__ == "__main__":
    main()
