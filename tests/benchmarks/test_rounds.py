"""benchmarks/rounds.py: rounds on equally many real frames, and what its page says of known figures."""

import argparse
import json
from types import SimpleNamespace

import imageio.v3 as imageio
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

import rounds
from arms import Arms, Stopped
from coverage import KINDS
from study import Study

from tests.benchmarks.test_exploration import FACTS


def scored(psnr: float) -> dict:
    """Half a dB less in a single pass."""
    ahead = [{"psnr": value, "ssim": 0.75, "delta_psnr": psnr / 100} for value in (psnr - 0.5, psnr)]
    return dict(zip(("single_pass", "autoregressive"), ahead, strict=True))


def seed(*psnr: float, covered: tuple[float, ...]) -> list[dict]:
    """Rounds of a model that begins at the first of these."""
    after = zip(psnr[1:], covered, strict=True)
    unsure = {"without": 0.5, "with": 0.25}
    return [
        {"covered": share, "without": scored(psnr[0]), "with": scored(value), "unsure": unsure}
        for value, share in after
    ]


FOUND = {
    "random": [seed(20, 20.5, 21, covered=(0.25, 0.5)), seed(20, 20.75, 21, covered=(0.25, 0.5))],
    "autoexplore": [seed(20, 22, 24, covered=(0.5, 1.0)), seed(20, 23, 25, covered=(0.75, 0.75))],
}


def kinds(before: float, after: float | None) -> dict:
    return {kind: {"share": 0.25, "before": before, "after": after} for kind in KINDS}


BY_KIND = {"random": [kinds(30, 31), kinds(32, 33)], "autoexplore": [kinds(30, 34), kinds(32, None)]}


def test_the_page_says_how_it_went(tmp_path):
    settings = {"dream_steps": 20_000, "steps": 30_000, "frames": 10_000}
    test = {"steps": 40_000, "returns": [1.0, 2.0]}
    rounds.write("Toy-Numpy", FOUND, BY_KIND, test, FACTS | {"settings": settings}, tmp_path)
    text = (tmp_path / "rounds-Toy-Numpy.md").read_text()
    assert "| PSNR t = 4, single pass | autoexplore | 19.50 ± 0.00 | 22.00 ± 0.71 | 24.00 ± 0.71 |" in text
    assert "| PSNR t = 4, autoregressive | autoexplore | 20.00 ± 0.00 | 22.50 ± 0.71 | 24.50 ± 0.71 |" in text
    assert "| PSNR t = 4, autoregressive | random | 20.00 ± 0.00 | 20.62 ± 0.18 | 21.00 ± 0.00 |" in text
    assert "| test's frames covered | autoexplore |  | 0.625 ± 0.177 | 0.875 ± 0.177 |" in text
    assert "| come upon since | random | 0.250 ± 0.000 | 31.00 ± 1.41 | 32.00 ± 1.41 |" in text
    assert "| never come upon | autoexplore | 0.250 ± 0.000 | 31.00 ± 1.41 | 34.00 |" in text
    assert "unsure by 0.500 ± 0.000 before it is refitted on it, 0.250 ± 0.000 after" in text
    assert "above those of random play by 3.0, 4.0 dB (PSNR t = 4, autoregressive" in text
    assert "learned for 40,000 steps" in text
    kept = json.loads((tmp_path / "rounds-Toy-Numpy.json").read_text())
    assert kept["frames of the test"] == BY_KIND
    assert kept["gains"] == [3.0, 4.0] and kept["rounds"] == FOUND and kept["machine"] == FACTS["made"]
    assert imageio.imread(tmp_path / "rounds-Toy-Numpy.png").shape[1] > 800


def figures(number: int) -> dict:
    prediction = {"psnr": [0, 0, 0, 30.0 + number, 0], "moving_psnr": [10.0] * 4, "ssim": [0.5] * 4}
    single_pass = {"psnr": [0, 0, 0, 20.0 + number, 0], "moving_psnr": [10.0] * 4, "ssim": [0.5] * 4}
    control = {"delta_psnr": 0.1}
    one = {"reconstruction": {"psnr": 40.0}, "prediction": prediction, "control": control, "uncertainty": 0.4}
    one |= {"single_pass": single_pass | {"control": control}}
    own = {"without": {"uncertainty": 0.5}, "with": {"uncertainty": 0.25}}
    return {"score on test play": {"without": one, "with": one}, "score on new play": own}


def test_explorers_and_random_play_have_as_many_real_frames(tmp_path, monkeypatch):
    asked, shown = [], []

    def refit(game, *, rounds, config, run, **options):
        asked.append((config, rounds, run, options))
        return SimpleNamespace(finished=True, rounds=[figures(number) for number in range(1, rounds + 1)])

    monkeypatch.setattr(rounds, "refit", refit)
    monkeypatch.setattr(rounds, "covered", lambda folders, test: float(len(shown.append(folders) or folders)))
    monkeypatch.setattr(Study, "model", lambda study: tmp_path / "model")
    monkeypatch.setattr(Study, "test", lambda study: (tmp_path / "test", {}))
    sizes = {"steps": 30, "dream_steps": 20, "frames": 10, "envs": 2, "clips": 3, "threads": 1}
    options = argparse.Namespace(**sizes, decoder_steps=4, dynamics_steps=5)
    study = Study("Toy-Numpy", Arms(tmp_path, {}), options)
    for source in rounds.SOURCES:
        found = [rounds.play_round(study, source, 7, number) for number in (1, 2)]
    assert all(row["unsure"] == {"without": 0.5, "with": 0.25} for row in found)
    assert [row["with"]["autoregressive"]["psnr"] for row in found] == [31.0, 32.0]  # of the last round alone
    assert [row["with"]["single_pass"]["psnr"] for row in found] == [21.0, 22.0]
    real = [config.frames + (config.explore_steps if config.trains else 0) for config, *_ in asked]
    assert real == [40] * 4 and [number for _, number, *_ in asked] == [1, 2, 1, 2]
    assert [config.dream_steps for config, *_ in asked] == [0, 0, 20, 20]
    assert {(config.tune.decoder_steps, config.tune.dynamics_steps, config.seed) for config, *_ in asked} == {(4, 5, 7)}
    assert all(options["test"] == tmp_path / "test" for *_, options in asked)
    run = asked[-1][2]
    assert len({where for _, _, where, _ in asked}) == 2
    parts = [run / f"round-{number}" / name for number in (1, 2) for name in ("learning", "data")]
    assert shown[-1] == parts and [row["covered"] for row in found] == [2.0, 4.0]


def test_an_interrupted_round_is_not_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "refit", lambda *args, **options: SimpleNamespace(finished=False, stopped="round 1"))
    monkeypatch.setattr(Study, "model", lambda study: tmp_path / "model")
    monkeypatch.setattr(Study, "test", lambda study: (tmp_path / "test", {}))
    names = ("steps", "dream_steps", "frames", "envs", "clips", "threads", "decoder_steps", "dynamics_steps")
    study = Study("Toy-Numpy", Arms(tmp_path, {}), argparse.Namespace(**dict.fromkeys(names, 1)))
    with pytest.raises(Stopped, match="round 1"):
        rounds.play_round(study, "random", 0, 1)
    assert "found" not in (tmp_path / "Toy-Numpy" / "rounds" / "random-0-1-1" / "after-1" / "arm.json").read_text()
