"""Refit rounds cost equally many real frames, and the page shows known figures."""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as imageio
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.common import experiment as experiment_module
from benchmarks.common.experiment import Stopped
from benchmarks.exploration import refit_rounds
from benchmarks.exploration.coverage import VISITS
from benchmarks.exploration.experiment import ExplorationExperiment
from genie_gym.refitting.config import RefitConfig
from genie_gym.refitting.results import Comparison, ModelScore, RoundReport
from tests.benchmarks.test_exploration import FACTS


def scored(psnr: float) -> dict:
    """Scores with half a dB less in a single pass."""
    ahead = [{"psnr": value, "ssim": 0.75, "delta_psnr": psnr / 100} for value in (psnr - 0.5, psnr)]
    return dict(zip(("single_pass", "autoregressive"), ahead, strict=True))


def seed(*psnr: float, coverage: tuple[float, ...]) -> list[dict]:
    """Rounds of a model whose first score is the first of these."""
    after = zip(psnr[1:], coverage, strict=True)
    uncertainty = {"before": 0.5, "after": 0.25}
    return [
        {"coverage": share, "before": scored(psnr[0]), "after": scored(value), "uncertainty": uncertainty}
        for value, share in after
    ]


ROUNDS = {
    "random": [seed(20, 20.5, 21, coverage=(0.25, 0.5)), seed(20, 20.75, 21, coverage=(0.25, 0.5))],
    "autoexplore": [seed(20, 22, 24, coverage=(0.5, 1.0)), seed(20, 23, 25, coverage=(0.75, 0.75))],
}


def visits(before: float, after: float | None) -> dict:
    return {visit: {"share": 0.25, "before": before, "after": after} for visit in VISITS}


BY_VISIT = {"random": [visits(30, 31), visits(32, 33)], "autoexplore": [visits(30, 34), visits(32, None)]}


def test_the_page_says_how_it_went(tmp_path):
    settings = {"imagined_steps": 20_000, "steps": 30_000, "frames": 10_000}
    test = {"steps": 40_000, "returns": [1.0, 2.0]}
    refit_rounds.write("Toy-Numpy", ROUNDS, BY_VISIT, test, FACTS | {"settings": settings}, tmp_path)
    text = (tmp_path / "refit-rounds-Toy-Numpy.md").read_text()
    assert "| PSNR t = 4, single pass | autoexplore | 19.50 ± 0.00 | 22.00 ± 0.71 | 24.00 ± 0.71 |" in text
    assert "| PSNR t = 4, autoregressive | autoexplore | 20.00 ± 0.00 | 22.50 ± 0.71 | 24.50 ± 0.71 |" in text
    assert "| PSNR t = 4, autoregressive | random | 20.00 ± 0.00 | 20.62 ± 0.18 | 21.00 ± 0.00 |" in text
    assert "| coverage of the test frames | autoexplore |  | 0.625 ± 0.177 | 0.875 ± 0.177 |" in text
    assert "| first visited during the rounds | random | 0.250 ± 0.000 | 31.00 ± 1.41 | 32.00 ± 1.41 |" in text
    assert "| never visited | autoexplore | 0.250 ± 0.000 | 31.00 ± 1.41 | 34.00 |" in text
    assert "is 0.500 ± 0.000 before the refit on them and 0.250 ± 0.000 after" in text
    assert "above those refitted on random ones by 3.0, 4.0 dB (PSNR t = 4, autoregressive" in text
    assert "learned for 40,000 steps" in text
    kept = json.loads((tmp_path / "refit-rounds-Toy-Numpy.json").read_text())
    assert kept["test_frames"] == BY_VISIT
    assert kept["gains"] == [3.0, 4.0] and kept["rounds"] == ROUNDS and kept["machine"] == FACTS["machine"]
    assert imageio.imread(tmp_path / "refit-rounds-Toy-Numpy.png").shape[1] > 800


def report(number: int) -> RoundReport:
    """A round after which the model is so many dB better."""
    steps = {"moving_psnr": [10.0] * 4, "ssim": [0.5] * 4}
    control = {"controllability": {"delta_psnr": 0.1}, "single_pass_controllability": {"delta_psnr": 0.1}}
    predictions = {
        "prediction": steps | {"psnr": [0, 0, 0, 30.0 + number, 0]},
        "single_pass": steps | {"psnr": [0, 0, 0, 20.0 + number, 0]},
    }
    evaluation = {"reconstruction": {"psnr": 40.0}, **predictions, **control}
    test, base, refitted = (ModelScore(evaluation, value) for value in (0.4, 0.5, 0.25))
    scores = {"test": Comparison(1.0, "test", test, test), "new": Comparison(1.0, "new", base, refitted)}
    return RoundReport(scores=scores)


SIZES = {"steps": 30, "imagined_steps": 20, "frames": 10, "envs": 2, "clips": 3, "threads": 1, "base_frames": 60}


def new_experiment(folder: Path, monkeypatch, **sizes: int) -> ExplorationExperiment:
    """An experiment whose model and test set are there already."""
    monkeypatch.setattr(ExplorationExperiment, "base_model", lambda self: folder / "model")
    monkeypatch.setattr(ExplorationExperiment, "base_dataset", lambda self: folder / "base")
    monkeypatch.setattr(ExplorationExperiment, "test_dataset", lambda self: (folder / "test", {}))
    return ExplorationExperiment(argparse.Namespace(game="Toy", work=folder, **SIZES, **sizes), ())


def test_explorers_and_random_episodes_have_as_many_real_frames(tmp_path, monkeypatch):
    asked, visited = [], []

    def refit(game, *, progress, **options):
        config = RefitConfig(game, **options)
        asked.append(config)
        return SimpleNamespace(finished=True, rounds=[report(number) for number in range(1, config.rounds + 1)])

    def covered_share(folders, test):
        visited.append(folders)
        return float(len(folders))

    monkeypatch.setattr(experiment_module, "refit", refit)
    monkeypatch.setattr(refit_rounds, "covered_share", covered_share)
    experiment = new_experiment(tmp_path, monkeypatch, decoder_steps=4, dynamics_steps=5)
    for source in refit_rounds.SOURCES:
        rows = [refit_rounds.score_round(experiment, source, 7, number) for number in (1, 2)]
    assert all(row["uncertainty"] == {"before": 0.5, "after": 0.25} for row in rows)
    assert [row["after"]["autoregressive"]["psnr"] for row in rows] == [31.0, 32.0]  # of the last round alone
    assert [row["after"]["single_pass"]["psnr"] for row in rows] == [21.0, 22.0]
    real = [config.frames + (config.explore_steps if config.trains_agent else 0) for config in asked]
    assert real == [40] * 4 and [config.rounds for config in asked] == [1, 2, 1, 2]
    assert [config.imagined_steps for config in asked] == [0, 0, 20, 20]
    assert {(config.decoder_steps, config.dynamics_steps, config.seed) for config in asked} == {(4, 5, 7)}
    assert all(config.test == tmp_path / "test" for config in asked)
    run = asked[-1].run
    assert len({config.run for config in asked}) == 2
    datasets = [run / f"round-{number}" / name for number in (1, 2) for name in ("explorer_data", "data")]
    assert visited[-1] == datasets and [row["coverage"] for row in rows] == [2.0, 4.0]


def test_an_interrupted_round_has_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr(
        experiment_module, "refit", lambda *args, **options: SimpleNamespace(finished=False, stopped="round 1")
    )
    experiment = new_experiment(tmp_path, monkeypatch, decoder_steps=1, dynamics_steps=1)
    with pytest.raises(Stopped, match="round 1"):
        refit_rounds.score_round(experiment, "random", 0, 1)
    (path,) = (tmp_path / "Toy-Numpy" / "rounds" / "random-0-1-1").glob("after-1/run.json")
    assert "result" not in path.read_text()
