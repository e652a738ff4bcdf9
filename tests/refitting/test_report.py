"""Results are kept in a file; the page shows every figure, escapes what it is given, and embeds its images."""

import base64
import json
import os
import re
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from rich.console import Console

from genie_gym.errors import CheckpointError
from genie_gym.evaluation.report import write_grid
from genie_gym.exploration.coverage import CoverageReport
from genie_gym.refitting.report import write_page
from genie_gym.refitting.results import (
    AgentTraining,
    Collection,
    Comparison,
    Coverage,
    Finetuning,
    ModelScore,
    RefitReport,
    RoundReport,
)
from tests.conftest import LONG
from tests.fuzz import damage_json

SETTINGS = {
    "game": "Toy-Numpy",
    "checkpoint": None,
    "data": "/some where/<toy>",
    "policy_source": "rnd",
    "lr_scale": 0.3,
}


def score(seed: int) -> ModelScore:
    rng = np.random.default_rng(seed)
    psnr = rng.uniform(20, 40, (2, 10)).round(4).tolist()
    evaluation = {
        "reconstruction": {"psnr": 41.25},
        "prediction": {"psnr": psnr[0], "moving_psnr": psnr[1], "ssim": [0.75] * 10},
        "controllability": {"delta_psnr": 1.5, "delta_psnr_error": None},
    }
    return ModelScore(evaluation, 0.25)


def rounds() -> list[RoundReport]:
    one = RoundReport(
        imagined=AgentTraining(0.0, 2048, reward=0.3, visited_cells=9),
        exploration=AgentTraining(60.0, 12345, reward=0.4321, visited_cells=77, episode_length=30.5, game_return=2.0),
        collection=Collection(30.0, episodes=3, steps=999),
        finetuning=Finetuning(90.0, decoder={"psnr": 39.5}, dynamics={"cross_entropy": 1.25}),
        coverage=Coverage(0.0, error="no <such> game"),
        scores={"test": Comparison(0.0, "/un seen", base=score(1), refitted=score(2))},
    )
    return [one, RoundReport(coverage=Coverage(60.0, (CoverageReport("random-0", Path("toy"), 500, 55, None),)))]


@pytest.mark.parametrize("report", [RoundReport(), *rounds()])
def test_a_report_is_read_as_it_was_written(report, tmp_path):
    report.save(tmp_path / "figures.json")
    assert RoundReport.load(tmp_path / "figures.json") == report
    assert report.started == (report != RoundReport())
    assert RoundReport.load(tmp_path / "nothing.json") == RoundReport()


DAMAGES = {
    "collection": [3, {"seconds": "x", "episodes": 1, "steps": 1}, {"seconds": 1, "episodes": 1}, []],
    "exploration": [{"seconds": 1, "steps": 1, "reward": None, "visited_cells": 1}],
    "finetuning": [{"seconds": 1, "decoder": {"psnr": [1]}, "dynamics": {}}],
    "coverage": [{"seconds": 1, "runs": [{"run": "a"}]}, {"seconds": 10**400}, {"seconds": 1, "runs": {}}],
    "scores": [None, [], {"../../x": {}}, {"test": {"seconds": 1}}],
}


@pytest.mark.parametrize("content", ["{}", '{"collection": 3}', "[]", "{", "[" * 100_000, "\x00", '{"a": 1e999}'])
def test_a_damaged_report(content, tmp_path):
    (tmp_path / "figures.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"figures.json is damaged .* to start again"):
        RoundReport.load(tmp_path / "figures.json")


@pytest.mark.parametrize(("name", "value"), [(name, one) for name, values in DAMAGES.items() for one in values])
def test_entries_of_other_types(name, value, tmp_path):
    rounds()[0].save(tmp_path / "figures.json")
    whole = json.loads((tmp_path / "figures.json").read_text())
    (tmp_path / "figures.json").write_text(json.dumps(whole | {name: value}))
    with pytest.raises(CheckpointError, match=r"figures.json is damaged .* to start again"):
        RoundReport.load(tmp_path / "figures.json")


def test_files_that_are_none(tmp_path):
    (tmp_path / "round.json").symlink_to(tmp_path / "round.json")
    assert RoundReport.load(tmp_path / "round.json") == RoundReport()  # as good as nothing
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe", "device", "folder"):
        with pytest.raises(CheckpointError, match="not a file"):
            RoundReport.load(tmp_path / f"{name}.json")


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=LONG)])
def test_no_damage_gives_a_traceback(count, tmp_path):
    """What is read after random damage can be shown; all else is refused."""
    rng, path = np.random.default_rng(0), tmp_path / "figures.json"
    rounds()[0].save(path)
    whole = json.loads(path.read_bytes())
    for number in range(count):
        path.write_bytes(damage_json(rng, whole))
        try:
            report = RoundReport.load(path)
        except CheckpointError as error:
            assert str(error).isprintable()
        else:
            Console(quiet=True).print(RefitReport("Toy-Numpy", tmp_path, [report], tmp_path, None))
            if number % 50 == 0:  # drawing takes its time
                write_page(tmp_path, SETTINGS, [report])


def test_the_page_holds_every_figure(tmp_path):
    html = write_page(tmp_path, SETTINGS, rounds()).read_text()
    cells = "".join(f"<td>{cell}</td>" for cell in ("1", "2,048", "12,345", "0.4321", "77", "999", "39.5", "1.25", "3"))
    assert f"<tr>{cells}</tr>" in html
    assert "no &lt;such&gt; game" in html and "<toy>" not in html
    assert "<td>2</td><td>toy: random-0</td><td>500</td><td>55</td><td>-</td>" in html
    for seed, model in ((1, "without"), (2, "with")):
        four = f"{score(seed).psnr[3]:.4g}"
        assert re.search(rf"<td>test</td><td>{model}</td><td>41.25</td><td>[\d.]+</td><td>{four}</td>", html)
    command = "genie-gym refit Toy-Numpy --rounds 2 --data '/some where/&lt;toy&gt;' --policy-source rnd --lr-scale 0.3"
    assert f"{command} --test '/un seen'".replace("'", "&#x27;") in html
    assert f"{tmp_path / 'round-1' / 'checkpoint'}" in html


def test_images_are_embedded(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 8, 8, 3), np.uint8)
    grid = tmp_path / "round-1" / "images" / "test" / "refitted" / "prediction.png"
    write_grid(grid, frames)
    html = write_page(tmp_path, SETTINGS, rounds()).read_text()
    images = [base64.b64decode(one) for one in re.findall(r'src="data:image/png;base64,([^"]+)"', html)]
    assert len(images) == 2  # the curves and the grid
    assert images[1] == grid.read_bytes()
    curves = imageio.imread(images[0])
    assert curves.shape[1] > 1000 and curves.std() > 5
    assert "Round 1: test episodes, with refit" in html


def test_nothing_from_outside_the_run_gets_into_the_page(tmp_path):
    """A stranger's run may hold links; who shares the page of a run would share what they lead to."""
    secret, run = tmp_path / "secret", tmp_path / "run"
    secret.write_bytes(b"mine alone")
    images = run / "round-1" / "images" / "test"
    (images / "base").mkdir(parents=True)
    os.mkfifo(images / "base" / "prediction.png")
    (images / "refitted").mkdir()
    (images / "refitted" / "prediction.png").symlink_to(secret)
    (run / "round-1" / "explorer").symlink_to("/dev")
    html = write_page(run, SETTINGS, rounds()).read_text()
    assert base64.b64encode(secret.read_bytes()).decode() not in html and html.count("src=") == 1  # the curves


def test_a_page_of_nothing_yet(tmp_path):
    html = write_page(tmp_path, SETTINGS, [RoundReport()]).read_text()
    assert "round-0" in html and "data:image" not in html
