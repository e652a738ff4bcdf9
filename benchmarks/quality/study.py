"""Both user studies of the paper with simulated participants: `python -m benchmarks.quality.study`.

Compared are the shipped Airstriker model and the same model sampled at a high temperature, on episodes recorded for it.
`genie-gym study run` serves each study, and the participants ask it for pairs as its page does, so that they know no
more than people. To rate, they take the PSNR of the two clips that they see, each with a strictness and noise of its
own. To choose, they look for the ship, and take the clip in which it goes further the way that the action's name says.

The results are those of `genie-gym study results`, checked against scipy's own functions on the answers in the file.
"""

import argparse
import json
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import stats

from benchmarks.common.experiment import run_script
from benchmarks.common.machine import machine_facts
from benchmarks.common.results import RESULTS, Figures, write_result
from genie_gym.collection.collect import collect
from genie_gym.data import EpisodeDataset
from genie_gym.evaluation.sprites import SpriteDetector, cut_sprite
from genie_gym.metrics.image import Frames, psnr
from genie_gym.studies import study_results
from genie_gym.studies.results import StudyResults
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import resolve_checkpoint

GAME = "Airstriker-Genesis"
HOT = 3.0  # sampling temperature of the worse model
BOUNDS = (22.0, 26.0, 30.0, 38.0)  # dB between ratings 1 to 5
STRICTNESS, NOISE = 1.5, 2.0  # dB, standard deviations between participants and between their answers
SEEN = 1.0  # pixels by which the ship must be further
WAYS = {"RIGHT": 1.0, "LEFT": -1.0}

Say = Callable[[Frames, Frames, str], Any]  # an answer to the clips on the left and right, and the action


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raters", type=int, default=19, help="participants of each study")
    parser.add_argument("--samples", type=int, nargs=2, default=(120, 60), help="pairs to rate, and to choose from")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the studies and of the participants")
    parser.add_argument("--work", type=Path, default=Path("study-work"), help="folder of the episodes and the studies")
    parser.add_argument("--out", type=Path, default=RESULTS / "study.json", help="file of the figures")
    return parser.parse_args()


def prepare(work: Path) -> list[str]:
    """Record episodes and save the second model, unless they are there; return the words that name both to a study."""
    data, hot = work / "data", work / "hot"
    collect(GAME, episodes=40, max_steps=120, policy="sticky", seed=7, workers=1, out=data, progress=False)
    if not hot.is_dir():
        checkpoint = Checkpoint.load(resolve_checkpoint(GAME))  # in full precision, as files are
        replace(checkpoint, sampling=replace(checkpoint.sampling, temperature=HOT)).save(hot)
    return [GAME, str(hot), "--labels", "shipped", "hot", "--data", str(data), "--device", "cpu"]


@contextmanager
def served(words: list[str]) -> Iterator[str]:
    """Serve a study as users do; give the address of what its page asks."""
    command = [sys.executable, "-m", "genie_gym", "study", "run", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = ""
        for line in server.stdout:
            said += line
            if found := re.search(r"take part at (http://\S+)", line):
                break
        else:
            raise SystemExit(f"the study did not start: {said}")
        try:
            yield f"{found[1]}api/study"
        finally:
            server.send_signal(signal.SIGINT)


def ask(address: str, content: Any = None) -> bytes:
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, body, method="GET" if body is None else "PUT")
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def take_part(address: str, rater: str, say: Say) -> None:
    """Answer every pair that has no answer of this participant yet."""
    about = json.loads(ask(address))
    for place, given in enumerate(json.loads(ask(f"{address}/raters/{rater}"))["answers"]):
        if given is None:
            pair = f"{address}/raters/{rater}/pairs/{place}"
            left, right = (_clip(ask(f"{pair}/{side}.png"), about["frames"]) for side in ("left", "right"))
            answer = say(left, right, json.loads(ask(pair))["action"])
            ask(pair, {"answer": answer, "seconds": 0.0})


def _clip(png: bytes, frames: int) -> Frames:
    strip = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert strip is not None
    return strip[..., ::-1].reshape(frames, -1, strip.shape[1], 3)


def rate_by_psnr(rng: np.random.Generator) -> Say:
    """A participant that rates."""
    strict = rng.normal(0, STRICTNESS)

    def say(left: Frames, right: Frames, _: str) -> int:
        seen = float(psnr(left, right)[1:].mean()) - strict + rng.normal(0, NOISE)
        return 1 + int(np.searchsorted(BOUNDS, seen))

    return say


def choose_by_ship(rng: np.random.Generator, ship: SpriteDetector) -> Say:
    """A participant that chooses."""

    def say(left: Frames, right: Frames, action: str) -> str:
        ways = [WAYS[action] * _gone(clip, ship) + rng.normal(0, SEEN / 2) for clip in (left, right)]
        if not np.isfinite(ways).all() or abs(ways[0] - ways[1]) < SEEN:
            return "neither"
        return "left" if ways[0] > ways[1] else "right"

    return say


def _gone(clip: Frames, ship: SpriteDetector) -> float:
    """By how many pixels the ship went right; NaN where there is not one ship at both ends."""
    ends = [ship.find(clip[0]), ship.find(clip[-1])]
    return float(ends[1][0][1] - ends[0][0][1]) if all(len(found) == 1 for found in ends) else float("nan")


def check(file: Path, results: StudyResults) -> Figures:
    """Compare intervals and tests with scipy's, computed from what SQLite holds."""
    with closing(sqlite3.connect(file)) as study:
        facts = {number: json.loads(one) for number, one in study.execute("SELECT number, facts FROM samples")}
        answers = study.execute("SELECT rater, sample, value FROM answers").fetchall()

    def means(key: str, value: str) -> np.ndarray:
        by_rater: dict[str, list[float]] = {}
        for rater, sample, given in answers:
            if value == "all actions" or facts[sample][key] == value:
                by_rater.setdefault(rater, []).append(given)
        return np.array([np.mean(by_rater[rater]) for rater in sorted(by_rater)])

    key, apart, bootstrap = ("second" if results.kind == "rate" else "action"), [0.0], {}
    for group in results.groups:
        x = means(key, group.name)
        interval = stats.ttest_1samp(x, 0).confidence_interval()
        ours = (group.estimate.mean, group.estimate.standard_error, group.estimate.low, group.estimate.high)
        apart += np.abs(np.subtract(ours, (x.mean(), stats.sem(x), interval.low, interval.high))).tolist()
        drawn = stats.bootstrap((x,), np.mean, rng=np.random.default_rng(0), method="percentile").confidence_interval
        bootstrap[group.name] = [float(drawn.low), float(drawn.high)]
    for one in results.differences:
        test = stats.ttest_rel(means(key, one.higher), means(key, one.lower))
        interval = test.confidence_interval()
        tested = (one.p, one.estimate.low, one.estimate.high)
        apart += np.abs(np.subtract(tested, (test.pvalue, interval.low, interval.high))).tolist()
    if max(apart) > 1e-9:
        raise SystemExit(f"the results are not scipy's: {max(apart)} apart")
    return {"agrees_with_scipy_within": 1e-9, "bootstrap_intervals": bootstrap}


def main() -> None:
    options, machine = read_options(), machine_facts()
    models = prepare(options.work)
    ship = cut_sprite(EpisodeDataset(options.work / "data"))
    assert ship is not None
    figures: Figures = {"raters": options.raters, "samples": list(options.samples), "seed": options.seed}
    figures |= {"hot_temperature": HOT, "bounds_db": BOUNDS, "strictness_db": STRICTNESS, "noise_db": NOISE}
    for kind, count in zip(("rate", "choose"), options.samples, strict=True):
        file = options.work / f"{kind}.sqlite"
        words = ["--kind", kind, "--file", str(file), "--samples", str(count), "--seed", str(options.seed)]
        chosen = ["--actions", *WAYS] if kind == "choose" else []
        with served([*models, *words, *chosen]) as address:
            for number in range(options.raters):
                rng = np.random.default_rng([options.seed, number])
                say = rate_by_psnr(rng) if kind == "rate" else choose_by_ship(rng, ship)
                take_part(address, f"simulated-{number}", say)
        results = study_results(file=file)
        print(*results.lines(), sep="\n")
        figures[kind] = {"results": results, "check": check(file, results)}
    print(f"results in {write_result(options.out, figures, machine)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
