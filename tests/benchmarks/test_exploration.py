"""What benchmarks/exploration.py writes: means and deviations over seeds, as numpy has them."""

import argparse
import json
import signal
from types import SimpleNamespace

import imageio.v3 as imageio
import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

import exploration
import lessons
from arms import Arms, Stopped
from exploration import Study, shorter, train_tester, write

from genie_gym.data import Recording


def prediction(psnr: float) -> dict[str, float]:
    return {"psnr": psnr, "ssim": 0.9, "moving_psnr": psnr - 10, "delta_psnr": 0.5}


def score(psnr: float) -> dict:
    ways = {"single_pass": prediction(psnr - 1), "autoregressive": prediction(psnr)}
    return {"reconstruction": 40.0, "uncertainty": 0.4, **ways}


def play(pictures: int, psnr: float, seen: int | None = None, curve: tuple = ()) -> dict:
    return {"seen": seen, "curve": list(curve), "frames": 100, "pictures": pictures, "positions": None, **score(psnr)}


@pytest.fixture
def found() -> dict:
    plays = {
        "random": [play(10, 30.0, 200), play(14, 31.0, 210), play(12, 33.0, 250)],
        "autoexplore": [
            play(50, 25.0, 300, [[10, 0.25], [20, 0.5], [100, 1.0]]),
            play(70, 26.0, 310, [[5, 0.25], [10, 0.75], [100, 1.5]]),
            play(90, 27.5, 335, [[10, 0.75], [95, 1.0], [100, 1.5]]),
        ],
        "rnd": [play(30, 28.0, 100)],
    }
    refits = {
        "not refitted": [score(20.0)],
        "random": [score(21.0), score(22.5)],
        "autoexplore": [score(24), score(25)],
    }
    return {"plays": plays, "refits": refits, "test": {"steps": 40_000, "returns": [1.0, 2.0]}}


FACTS = {
    "command": "python benchmarks/exploration.py Toy-Numpy --work FOLDER",
    "settings": {"steps": 60000, "seeds": 3},
    "hours": 1.5,
    "made": {
        "machines": ["a processor (2 cores)"],
        "code": ["0.1.0", "0.1.1"],
        "torch": ["2.13.0"],
        "from": "2026",
        "to": "2027",
    },
}


def test_the_table_has_means_and_deviations(found, tmp_path):
    write("Toy-Numpy", found, FACTS, tmp_path)
    text = (tmp_path / "exploration-Toy-Numpy.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    psnr = np.array([25.0, 26.0, 27.5])
    first, last = np.array([0.25, 0.5, 0.75]), np.array([1, 1.5, 1.25])  # means of the first and the last ten steps
    rewards = f"{first.mean():.3f} ± {first.std(ddof=1):.3f} | {last.mean():.3f} ± {last.std(ddof=1):.3f}"
    assert f"| 315 ± 18 | {rewards} | 70.00 ± 20.00 |  | {psnr.mean():.2f} ± {psnr.std(ddof=1):.2f} |" in text
    assert "| rnd | 100.00 |  |  | 30.00 |" in text
    assert "in 1.5 hours, on a processor (2 cores); 0.1.0, 0.1.1, torch 2.13.0, 2026 to 2027." in text
    assert rows["not refitted"].split("|")[2].strip() == "19.00"  # a single one has no deviation
    assert "That agent learned for 40,000 steps; its mean return was 1.0 at first and 2.0 at last." in text
    kept = json.loads((tmp_path / "exploration-Toy-Numpy.json").read_text())
    assert kept == {**FACTS, "game": "Toy-Numpy", **found}
    assert imageio.imread(tmp_path / "exploration-Toy-Numpy.png").shape[1] > 1000


def test_the_agent_on_the_games_reward_goes_on_after_the_last_whole_piece(tmp_path, monkeypatch):
    options, saved = argparse.Namespace(envs=1, agent_steps=1280), []

    def save_agent(agent, path, about):
        keep(agent, path, about)
        saved.append((agent.num_timesteps, about["scale"]["returns count"]))
        if len(saved) == 3:
            signal.raise_signal(signal.SIGINT)

    keep = exploration.save_agent
    monkeypatch.setattr(exploration, "PIECE", 128)
    monkeypatch.setattr(exploration, "save_agent", save_agent)
    with pytest.raises(Stopped):
        train_tester("Toy-Numpy", options, tmp_path)
    returns = train_tester("Toy-Numpy", options, tmp_path)["returns"]
    steps, counts = np.array(saved).T
    assert len(returns) == 10 and np.isfinite(returns).all()
    assert steps.tolist() == [128 * piece for piece in range(1, 11)]
    assert np.ptp(np.diff(counts)) <= 1e-9  # what the scale of the reward has counted goes on, too


def test_an_explorer_is_begun_with_what_another_learned_in_dreams(tmp_path, monkeypatch):
    asked = []

    def explore(game: str, *, out, steps, **options):
        with SummaryWriter(str(out / "tensorboard")) as curves:
            curves.add_scalar("explore/reward", 0.5, steps)
            curves.add_scalar("explore/places", 3, steps)
        asked.append((out, options))
        return SimpleNamespace(finished=True, steps=steps, seconds=60.0, figures={"places": 3})

    monkeypatch.setattr(exploration, "explore", explore)
    monkeypatch.setattr(Study, "model", lambda study: tmp_path)
    study = Study("Toy-Numpy", Arms(tmp_path, {}), argparse.Namespace(steps=90, envs=1, threads=1))
    agent, figures = study.explorer("begun", 0)
    (dreamed, in_dreams), (begun, in_game) = asked
    assert in_dreams["dream"] and in_dreams["begin_with"] is None and "record" not in in_dreams
    assert in_game["begin_with"] == dreamed and begun == agent and "dream" not in in_game
    assert in_game["reward"] == in_dreams["reward"] == "autoexplore" and figures["places"] == 3
    assert study.learning_play("begun", 0) == (begun.parent / "data", 3)
    assert lessons.curves(study, "begun", 0) == {"reward": [[90, 0.5]], "pictures": [[90, 3]]}
    study.explorer("autoexplore", 0)
    assert study.curve("autoexplore", 0) == [(90, 0.5)] and study.curve("random", 0) == []


def test_shorter_recipes_are_the_presets_but_for_their_steps():
    recipes = shorter(16, 20)
    assert (recipes["fit_tokenizer"].steps, recipes["fit_dynamics"].steps) == (16, 20)
    assert recipes["fit_tokenizer"].lr == 2e-3 and recipes["fit_dynamics"].lr == 1.5e-3


def test_no_recording_shares_an_episode_with_another(tmp_path, monkeypatch):
    monkeypatch.setattr(exploration, "fit_world", lambda *args, **options: SimpleNamespace(finished=True))
    options = argparse.Namespace(base=60, steps=90, frames=40, fit_steps=(1, 1), seeds=2)
    study = Study("Toy-Numpy", Arms(tmp_path, {}), options)
    folders = [study.model() / "data"]
    for seed in range(2):
        folders += [study.play("random", seed)[0], study.learning_play("random", seed)[0]]
    seeds = [{episode.info["seed"] for episode in Recording(folder).episodes()} for folder in folders]
    assert all(seeds) and len(set.union(*seeds)) == sum(map(len, seeds))
