"""How a world model tells the ends of episodes: `python -m benchmarks.quality.ends Airstriker --data FOLDER ...`.

On fresh episodes, recorded with seeds unlike those of the training. First as a reader of what happens: at every step
the model knows all real frames, that of the step included if its head looks at it, and says with which probability the
step ended the episode. Then as an imagination: it goes on by itself from a few frames before the end under the actions
that were taken, and the step is compared at which it ends.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError
from genie_gym.models.heads import OutcomeHeads
from genie_gym.utils.device import use_threads
from genie_gym.utils.images import to_model
from genie_gym.utils.progress import tracked
from genie_gym.world_model import Checkpoint, WorldModel
from genie_gym.world_model.resolve import load_checkpoint

THRESHOLD = 0.5  # probability from which a step is told to end the episode
CONTEXT = 16  # real frames before the first step that counts
CHUNK = 32  # steps of an episode that are read together
AHEAD = 4  # steps before the end from which the model imagines, and after which it has missed it
LATER = 99


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint folder, hub id, or name of a game")
    parser.add_argument("--before", help="checkpoint that differs in its termination head alone, to compare with")
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="folders of datasets")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--others", type=int, default=0, help="chunks of steps far from an end to read; 0: all")
    parser.add_argument("--batch", type=int, default=8, help="chunks read at once")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    return parser.parse_args()


Chunk = tuple[EpisodeDataset, int, int]  # a dataset, an episode, and the frame after the last one


def ending(datasets: list[EpisodeDataset]) -> list[Chunk]:
    """Chunks that end with an episode that the game ended."""
    return [
        (one, index, int(one.lengths[index]))
        for one in datasets
        for index in range(len(one))
        if one.steps(index)[2] and one.lengths[index] >= CONTEXT + CHUNK
    ]


def other(datasets: list[EpisodeDataset], count: int, seed: int) -> list[Chunk]:
    """Chunks that hold all other steps but the first ones of an episode, or so many drawn from them."""
    chunks = [
        (one, index, stop)
        for one in datasets
        for index in range(len(one))
        for stop in range(int(one.lengths[index]) - CHUNK * bool(one.steps(index)[2]), CONTEXT + CHUNK - 1, -CHUNK)
    ]
    if not count or count >= len(chunks):
        return chunks
    drawn = np.random.default_rng(seed).choice(len(chunks), count, replace=False)
    return [chunks[i] for i in np.sort(drawn)]


@torch.no_grad()
def told(model: WorldModel, heads: list[OutcomeHeads], chunks: list[Chunk], batch: int, name: str) -> list[np.ndarray]:
    """Return the probabilities that the steps of the chunks ended their episodes, by each head: float (chunks, CHUNK).

    Heads read the features of the same model.
    """
    found: list[list[np.ndarray]] = [[] for _ in heads]
    for first in tracked(range(0, len(chunks), batch), name, -(-len(chunks) // batch), unit="batches"):
        frames, actions = read(chunks[first : first + batch], CONTEXT + CHUNK)
        tokens = model.tokenizer.encode(to_model(frames))
        drafts = torch.full_like(tokens[:, -CHUNK:], model.dynamics.mask_token)
        before = torch.nn.functional.pad(actions, (1, 0), value=-1)
        features = model.dynamics.draft_features(tokens[:, :-1], drafts, before)
        codes = model.dynamics.codebook[tokens[:, -CHUNK:]]
        for head, probabilities in zip(heads, found, strict=True):
            probabilities.append(head(features, codes)[1].float().sigmoid().numpy())
    return [np.concatenate(probabilities) for probabilities in found]


def imagined(checkpoint: Checkpoint, chunks: list[Chunk], batch: int, seed: int) -> np.ndarray:
    """Return how many steps after the real end each imagined episode ends, int (chunks,); LATER if not by AHEAD."""
    found = []
    seeds = np.random.default_rng(seed).integers(2**63, size=len(chunks))
    for first in tracked(range(0, len(chunks), batch), "imagining ends", -(-len(chunks) // batch), unit="batches"):
        frames, actions = read(chunks[first : first + batch], CONTEXT + AHEAD)
        before, taken = actions[:, : CONTEXT - 1], actions[:, CONTEXT - 1 :]
        taken = torch.cat([taken, taken[:, -1:].expand(-1, AHEAD)], 1)  # the last one is held
        own = torch.from_numpy(seeds[first : first + batch])
        state, _ = checkpoint.model.start(frames[:, :CONTEXT], before, own)
        ended = [checkpoint.model.step(state, chosen, checkpoint.sampling).terminated for chosen in taken.unbind(1)]
        ends = torch.stack(ended, 1).numpy()
        found.append(np.where(ends.any(1), ends.argmax(1) + 1 - AHEAD, LATER))
    return np.concatenate(found)


def read(chunks: list[Chunk], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the last frames uint8 (b, length, s, s, 3) of chunks, and the actions (b, length - 1) between them."""
    frames = np.stack([one.frames(index, stop - length, stop) for one, index, stop in chunks])
    actions = np.stack([one.steps(index)[0][stop - length : stop - 1] for one, index, stop in chunks])
    return torch.from_numpy(frames), torch.from_numpy(actions)


def comparable(model: WorldModel, other: WorldModel) -> OutcomeHeads:
    """Return the heads of another model that differs in its termination head alone.

    Raises:
        ConfigError: It differs elsewhere.
    """
    ours, theirs = ({n: v for n, v in m.state_dict().items() if ".termination." not in n} for m in (model, other))
    if ours.keys() != theirs.keys() or not all(torch.equal(value, theirs[name]) for name, value in ours.items()):
        raise ConfigError("the two checkpoints differ elsewhere than in their termination heads; measure each alone")
    return other.dynamics.heads


def shares(ends: np.ndarray, others: np.ndarray) -> Figures:
    """Return the figures of what was told: `ends` float (episodes, CHUNK), the last of which is the end."""
    last = ends[:, -1]
    quiet = np.concatenate([ends[:, :-1].ravel(), others.ravel()])
    alarms = int((quiet > THRESHOLD).sum())
    return {
        "ends": len(last),
        "told_at_the_step": int((last > THRESHOLD).sum()),
        "told_at_the_step_or_the_one_before": int((ends[:, -2:].max(1) > THRESHOLD).sum()),
        "mean_probability_at_the_step": float(last.mean()),
        "other_steps": len(quiet),
        "false_alarms": alarms,
        "false_alarms_a_step": alarms / len(quiet),
        "mean_probability_elsewhere": float(quiet.mean()),
        "mean_probability_one_step_before": float(ends[:, -2].mean()),
        "mean_probability_farther_than_8_steps_before": float(np.append(ends[:, :-8].ravel(), others.ravel()).mean()),
    }


def measure(checkpoint: Checkpoint, before: Checkpoint | None, options: argparse.Namespace) -> Figures:
    """Return the figures of a checkpoint, and those of the one before, if there is one."""
    datasets = [EpisodeDataset(folder) for folder in options.data]
    ends, model, batch = ending(datasets), checkpoint.model, options.batch
    checkpoints = {"now": checkpoint} | ({"before": before} if before else {})
    heads = [comparable(model, one.model) for one in checkpoints.values()]
    at_ends = told(model, heads, ends, batch, "reading ends")
    elsewhere = told(model, heads, other(datasets, options.others, options.seed), batch, "reading other steps")
    figures: Figures = {"episodes": {one.folder.name: len(one) for one in datasets}, "steps_ahead": AHEAD}
    for (name, one), near, far in zip(checkpoints.items(), at_ends, elsewhere, strict=True):
        dreamt = imagined(one, ends, batch, options.seed)
        figures[name] = {
            "weights": one.model.fingerprint,
            "read": shares(near, far),
            "imagined": {
                "at_the_step": int((dreamt == 0).sum()),
                "within_one": int((np.abs(dreamt) <= 1).sum()),
                "never": int((dreamt == LATER).sum()),
                "steps_after_the_real_end": dreamt.tolist(),
            },
        }
    return figures


def lines(figures: Figures) -> Iterator[str]:
    """Yield the result in words."""
    for name in ("before", "now"):
        if name in figures:
            read, dreamt = figures[name]["read"], figures[name]["imagined"]
            n, mean = read["ends"], read["mean_probability_at_the_step"]
            yield f"{name}: {read['told_at_the_step']} of {n} ends told at their step, mean probability {mean:.2f}; "
            yield f"  {read['false_alarms']} false alarms in {read['other_steps']:,} steps;"
            yield f"  imagined from {AHEAD} steps before, {dreamt['at_the_step']} of {n} end at the step, "
            yield f"  {dreamt['within_one']} at most one step from it, {dreamt['never']} never"


def main() -> None:
    options, machine = read_options(), machine_facts()
    use_threads(options.threads)
    checkpoint = load_checkpoint(options.checkpoint, "cpu", "float32")
    before = load_checkpoint(options.before, "cpu", "float32") if options.before else None
    told_options = {name: getattr(options, name) for name in ("others", "seed", "threads")}
    figures = told_options | measure(checkpoint, before, options)
    print("\n".join(lines(figures)))
    place = write_result(options.out / f"ends-{checkpoint.game['name']}.json", figures, machine)
    print(f"results in {place}")


if __name__ == "__main__":
    sys.exit(run_script(main))
