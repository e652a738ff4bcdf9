"""All of the paper's tables on the toy game in one experiment, what its runs have in common, and resuming it."""

import argparse
import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.errors import ConfigError
from genie_gym.utils.precision import autocast, resolve_precision
from genie_gym.world_model import Checkpoint

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.common import experiment as common
from benchmarks.common.experiment import run_script
from benchmarks.paper import __main__ as script
from benchmarks.paper import experiment as paper_experiment
from benchmarks.paper import table4
from benchmarks.paper.experiment import PaperExperiment, label, merge
from benchmarks.paper.models import FULL, PLAIN, TOKEN_INPUT, guided
from benchmarks.paper.page import markdown, write
from benchmarks.paper.scales import SCALES
from benchmarks.paper.table import Claim, Table
from tests.toy_play import record

TOY = "Toy-Numpy"
TABLES = {number: import_module(f"benchmarks.paper.table{number}").TABLE for number in range(2, 7)}


def run_smoke(folder: Path) -> None:
    """Fill a folder with the runs (work) and the results (out) of all tables at the smallest scale."""
    command = [sys.executable, "-m", "benchmarks.paper", "all", "--scale", "smoke", "--many", "Toy", "--threads", "1"]
    command += ["--work", str(folder / "work"), "--out", str(folder / "out")]
    environment = os.environ | {"GENIE_GYM_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def results(smoke: Path, number: int) -> dict:
    return json.loads((smoke / "out" / f"table{number}-smoke-{TOY}.json").read_text())


def checkpoint(smoke: Path, name: str) -> Path:
    return smoke / "work" / TOY / "models" / name / "checkpoint"


def loaded(smoke: Path, name: str) -> Checkpoint:
    return Checkpoint.load(checkpoint(smoke, name))


def basic_clips(smoke: Path) -> np.ndarray:
    """The frames that models are scored on: uint8 (b, t, s, s, 3)."""
    scale, recording = SCALES["smoke"], EpisodeDataset(smoke / "work" / TOY / "datasets" / "basic-test" / "data")
    return SequenceDataset(recording, 2 + scale.horizon).sample(np.random.default_rng(0), scale.clips)["frames"]


def mean_psnr(shown: torch.Tensor, real: np.ndarray) -> float:
    """Of float images (b, t, 3, s, s) to uint8 ones (b, t, s, s, 3)."""
    levels = np.clip(np.round(shown.numpy() * 255), 0, 255).transpose(0, 1, 3, 4, 2)
    error = ((levels - real.astype(float)) ** 2).mean((2, 3, 4))
    return float((10 * np.log10(255**2 / error)).mean())


def check_every_row_of_the_paper_is_measured(smoke, number):
    kept, table = results(smoke, number), TABLES[number]
    (rows,) = kept["results"].values()
    for published in table.paper.values():
        for row, figures in published.items():
            wanted = {name for name, value in figures.items() if value is not None} - {"fid"}
            assert wanted <= rows[row].keys()
    values = [value for figures in rows.values() for measured in figures.values() for value in measured]
    assert values and np.isfinite(values).all()
    (claims,) = kept["claims"].values()
    assert len(claims) == len(table.claims) and all(len(claim["gains"]) == 1 for claim in claims)
    page = (smoke / "out" / f"table{number}-smoke-{TOY}.md").read_text(encoding="utf-8")
    assert all(f"| {row} |" in page for row in rows) and f"table{number}-smoke-{TOY}.png" in page
    assert (smoke / "out" / f"table{number}-smoke-{TOY}.png").stat().st_size > 10_000
    assert kept["hours"] >= 0 and kept["seconds"] and kept["machine"]["torch"] and kept["seeds"] == [0]


def check_tokenizer_and_lam_are_scored_on_the_test_clips(smoke):
    frames, rows = basic_clips(smoke), results(smoke, 2)["results"][TOY]
    images = torch.from_numpy(frames).permute(0, 1, 4, 2, 3) / 255
    with torch.no_grad():
        tokenizer = loaded(smoke, f"guided-{FULL}-on-random-0").model.tokenizer
        with autocast(resolve_precision("auto", "cpu"), "cpu"):
            seen = tokenizer.decode(tokenizer.encode(images)).float()
        lam = loaded(smoke, "latent-on-random-0").model.latent_actions
        predicted = lam.predict(images[:, :-1], lam.codes(images))
    assert rows["Tokenizer"]["psnr"][0] == pytest.approx(mean_psnr(seen, frames), abs=0.01)
    assert rows["LAM"]["psnr"][0] == pytest.approx(mean_psnr(predicted, frames[:, 1:]), abs=0.01)


def check_models_differ_only_in_what_their_rows_say(smoke):
    ablated = [loaded(smoke, f"guided-{variant}-on-random-0") for variant in (PLAIN, TOKEN_INPUT, FULL)]
    switches = [(one.model.dynamics.config.token_input, one.model.dynamics.config.tdce) for one in ablated]
    assert switches == [(False, 0), (True, 0), (True, 1)]
    assert {one.metadata.stages["dynamics"].steps for one in ablated} == {12}
    case_study = [loaded(smoke, f"{name}-on-random-0") for name in (f"guided-{FULL}", "latent")]
    assert case_study[1].model.latent_actions.config.codes == case_study[1].model.dynamics.config.num_actions == 4
    for models in (ablated, case_study):
        first, *others = (one.model.tokenizer.state_dict() for one in models)
        assert all(torch.equal(value, other[name]) for other in others for name, value in first.items())


def check_no_training_dataset_shares_an_episode_with_a_test(smoke):
    folders = sorted((smoke / "work").glob("*/datasets/*/data")) + sorted((smoke / "work").glob("**/round-1/data"))
    seeds = {folder: {episode.info["seed"] for episode in EpisodeDataset(folder).episodes()} for folder in folders}
    tests = [folder for folder in folders if "-test" in folder.parent.name]
    assert len(tests) == 2 and len(folders) >= 8
    for test in tests:
        assert not any(seeds[test] & seeds[folder] for folder in folders if folder not in tests)


def check_both_refits_learn_from_as_many_frames(smoke):
    frames_used = {}
    for source in ("random", "autoexplore"):
        (round_1,) = (smoke / "work" / TOY / "refits").glob(f"{source}-of-*/run/round-1")
        folders = [folder for folder in (round_1 / "data", round_1 / "explorer_data") if folder.exists()]
        frames_used[source] = sum(
            int(EpisodeDataset(folder).lengths.sum()) - len(EpisodeDataset(folder)) for folder in folders
        )
        assert len(folders) == (2 if source == "autoexplore" else 1)
    assert frames_used["random"] == pytest.approx(frames_used["autoexplore"], abs=2 * SCALES["smoke"].max_steps)
    assert min(frames_used.values()) >= SCALES["smoke"].frames + SCALES["smoke"].explore_steps


def check_the_same_command_executes_nothing_again(smoke, monkeypatch):
    for name in ("collect", "explore", "train", "finetune_checkpoint", "refit"):
        monkeypatch.setattr(common, name, None)
    monkeypatch.setattr(paper_experiment, "evaluate_model", None)
    again = PaperExperiment(smoke / "work", SCALES["smoke"], [TOY], [TOY])
    for number in (2, 4, 6):
        rows = TABLES[number].measure(again, 0)[TOY]
        assert {row: {name: [value] for name, value in figures.items()} for row, figures in rows.items()} == results(
            smoke, number
        )["results"][TOY]
    alone = PaperExperiment(smoke / "work", SCALES["smoke"], [TOY])  # without many games: as in tables 2 and 3
    assert table4.model(alone, FULL, 0) == guided(alone, [TOY], 0) == checkpoint(smoke, f"guided-{FULL}-on-random-0")
    with pytest.raises(TypeError):  # another seed has to be trained
        TABLES[2].measure(again, 1)
    with pytest.raises(ConfigError, match="was started with preset 'tiny-transformer'"):
        PaperExperiment(smoke / "work", SCALES["gpu"], [TOY])


@pytest.mark.slow
def test_all_tables_at_the_smallest_scale(tmp_path, monkeypatch):
    """One test, as it is one run: tests of a file may be spread over several processes."""
    run_smoke(tmp_path)
    assert all(results(tmp_path, number)["scale"] == "smoke" for number in TABLES)
    for number in TABLES:
        check_every_row_of_the_paper_is_measured(tmp_path, number)
    check_tokenizer_and_lam_are_scored_on_the_test_clips(tmp_path)
    check_models_differ_only_in_what_their_rows_say(tmp_path)
    check_no_training_dataset_shares_an_episode_with_a_test(tmp_path)
    check_both_refits_learn_from_as_many_frames(tmp_path)
    check_the_same_command_executes_nothing_again(tmp_path, monkeypatch)


def test_datasets_of_several_games_become_one(tmp_path):
    folders = [record(tmp_path / name, 2, 12, first) for name, first in (("one", 0), ("other", 1))]
    for folder, name in zip(folders, ("One-Own", "Other-Own"), strict=True):
        header = json.loads((folder / "recording.json").read_text())
        header["game"]["name"] = name
        (folder / "recording.json").write_text(json.dumps(header))
    datasets = [EpisodeDataset(folder) for folder in folders]
    merge(datasets, tmp_path / "both")
    both = EpisodeDataset(tmp_path / "both")
    assert both.header["game"]["name"] == "Many-Own" and both.header["actions"] == datasets[0].header["actions"]
    expected = {e.frames.tobytes() + e.actions.tobytes() for one in datasets for e in one.episodes()}
    assert len(both) == 3 and {e.frames.tobytes() + e.actions.tobytes() for e in both.episodes()} == expected
    header = json.loads((folders[0] / "recording.json").read_text()) | {"actions": ["A", "B", "C", "D"]}
    for action, meaning in zip(header["game"]["actions"], "ABCD", strict=True):
        action["meaning"] = meaning
    (folders[0] / "recording.json").write_text(json.dumps(header))
    with pytest.raises(ConfigError, match="same actions; these have others: One-Own: A, B, C, D; Other-Own: NOOP"):
        merge([EpisodeDataset(folder) for folder in folders], tmp_path / "none")


def test_several_games_share_a_folder_whatever_their_order():
    assert label([TOY]) == TOY
    assert label(["A-Own", "B-Own"]) == label(["B-Own", "A-Own"]) != label(["A-Own", "C-Own"])


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_scales_change_what_they_say(scale):
    from genie_gym.training.presets import get_preset

    chosen = replace(get_preset(scale.preset), **scale.preset_overrides(tdce=0.0))
    assert chosen.dynamics == replace(chosen.dynamics, tdce=0.0, token_input=True)
    stages = (chosen.tokenizer_training, chosen.lam_training, chosen.dynamics_training)
    assert scale.train_steps in (None, tuple(one.steps for one in stages))
    assert replace(get_preset(scale.preset), **scale.preset_overrides()).dynamics.tdce == 1


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_papers_own_figures_bear_out_its_claims(table):
    published = next(iter(table.paper.values()))
    known = 0
    for claim in table.claims:
        above, below = (published.get(row, {}).get(claim.metric) for row in (claim.above, claim.below))
        if above is not None and below is not None:
            assert above > below, claim
            known += 1
    assert known >= 2


PAPER = {"Own": {"high": {"fid": 9.5, "psnr": 30.0}, "low": {"psnr": 20.5}}}
MACHINE = {"machines": ["a CPU"], "code": ["0.1"], "torch": ["2"], "from": "today", "to": "today"}
FACTS = {"scale": "cpu", "sizes": {"horizon": 10}, "seeds": [0, 1], "hours": 1.5, "command": "run", "machine": MACHINE}
RESULTS = {"Toy-Numpy": {"high": {"psnr": [31.0, 33.0], "ssim": [0.5, 0.6]}, "low": {"psnr": [30.0, 30.0]}}}


def test_a_page_shows_the_papers_figures_beside_ours(tmp_path):
    table = Table(9, "Title", "About.", (), PAPER, (Claim("psnr", "high", "low"), Claim("psnr", "low", "high")), dict)
    page = write(table, RESULTS, FACTS, tmp_path, "table9").read_text(encoding="utf-8")
    assert "| high | 32.00 ± 1.41 (30) | 0.550 ± 0.071 | (9.5) |" in page
    assert "| low | 30.00 ± 0.00 (20.5) |  |  |" in page
    assert "PSNR, dB, high above low: holds, by 2.00 ± 1.41 (2 of 2 seeds; paper +9.5)" in page
    assert "PSNR, dB, low above high: does not hold, by -2.00 ± 1.41 (0 of 2 seeds; paper -9.5)" in page
    assert "of Own" in page and "in 1.5 hours, on a CPU; 0.1, torch 2, today; scale `cpu`, seeds 0, 1." in page
    kept = json.loads((tmp_path / "table9.json").read_text())
    assert kept["results"] == RESULTS and kept["claims"]["Toy-Numpy"][0]["gains"] == [1.0, 3.0]
    assert (tmp_path / "table9.png").read_bytes().startswith(b"\x89PNG")


def test_a_single_seed_has_no_spread_and_proves_little(tmp_path):
    assert "| high | 31.00 (30) | (9.5) |" in markdown({"high": {"psnr": [31.0]}}, PAPER["Own"])
    table = Table(9, "Title", "About.", (), PAPER, (Claim("psnr", "high", "low"),), dict)
    found = {"Toy-Numpy": {"high": {"psnr": [31.0]}, "low": {"psnr": [30.0]}}}
    text = write(table, found, FACTS, tmp_path, "table9").read_text(encoding="utf-8")
    assert "PSNR, dB, high above low: holds in the only seed, by 1.00 (paper +9.5)\n" in text


def test_seeds_that_a_page_has_are_not_measured_again(tmp_path, monkeypatch):
    measured = []

    def measure(experiment, seed):
        measured.append(seed)
        more = {"ssim": 0.5} if len(measured) > 1 else {}
        return {
            TOY: {name: {"psnr": experiment.run(f"{name}-{seed}", lambda _: {"psnr": 30.0 + seed})[1]["psnr"], **more}}
        }

    name = "high"
    table = Table(9, "Title", "About.", (TOY,), PAPER, (), measure)
    monkeypatch.setitem(sys.modules, "benchmarks.paper.table9", types.SimpleNamespace(TABLE=table))
    how = {"scale": "smoke", "games": None, "many": None, "perceptual": False, "out": tmp_path}
    for work, seeds in (("here", 1), ("there", 2), ("there", 2)):  # as if on two machines, with one page
        script.make("9", argparse.Namespace(**how, seeds=seeds, work=tmp_path / work))
    kept = json.loads((tmp_path / f"table9-smoke-{TOY}.json").read_text())
    assert measured == [0, 1] == kept["seeds"] and kept["command"].endswith("--seeds 2")
    assert kept["results"] == {TOY: {"high": {"psnr": [30.0, 31.0], "ssim": [None, 0.5]}}}
    assert set(kept["seconds"]) == {"high-0", "high-1"} and len(kept["machine"]["machines"]) == 1
    assert "| high | 30.50 ± 0.71 (30) | 0.500 |" in (tmp_path / f"table9-smoke-{TOY}.md").read_text()
    name = "other sizes"
    monkeypatch.setitem(SCALES, "smoke", replace(SCALES["smoke"], clips=7))
    script.make("9", argparse.Namespace(**how, seeds=1, work=tmp_path / "anew"))
    kept = json.loads((tmp_path / f"table9-smoke-{TOY}.json").read_text())
    assert measured == [0, 1, 0] and kept["seeds"] == [0] and list(kept["results"][TOY]) == [name]


def test_bad_options_are_one_line(monkeypatch, capsys, tmp_path):
    for words, said in (
        (["2", "--seeds", "0"], "seeds must be 1 or more, got 0"),
        (["4", "--game", "Tetris-Nowhere", "--work", str(tmp_path)], "Unknown game 'Tetris-Nowhere'"),
    ):
        monkeypatch.setattr(sys, "argv", ["paper.py", *words])
        assert run_script(lambda: script.main(script.read_options())) == 1
        assert capsys.readouterr().err.startswith(f"error: {said}")
