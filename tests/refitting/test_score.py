"""Models are scored on the same episodes, uncertainty follows the paper, and missing coverage ends no refit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.data import EpisodeDataset, SequenceDataset
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.exploration.coverage import CoverageReport, StateCoverage
from genie_gym.refitting.score import count_coverage, score_models, uncertainty
from genie_gym.world_model import Checkpoint
from tests.conftest import reward_by_numpy, untrained
from tests.toy_play import record


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> EpisodeDataset:
    return EpisodeDataset(record(tmp_path_factory.mktemp("score") / "toy", 3, 40))


def test_uncertainty_is_the_papers_reward_of_random_windows(dataset):
    model = untrained(window=6).model
    drawn = SequenceDataset(dataset, 5, [1, 2]).sample(np.random.default_rng(4), 70)  # more than one batch
    frames, actions = (torch.from_numpy(drawn[name]) for name in ("frames", "actions"))
    with torch.inference_mode():
        shown = model.tokenizer.encode(frames[:, :2].permute(0, 1, 4, 2, 3).float() / 255)
        hidden = torch.full_like(shown[:, :1], model.dynamics.mask_token)
        prev_actions = torch.cat([torch.full((70, 1), -1), actions], 1)
        past = torch.cat([shown, hidden, hidden], 1)
        logits = model.dynamics.to_logits(model.dynamics.features(past, hidden, prev_actions)[:, -1])
    expected = reward_by_numpy(logits.numpy()).mean()
    assert uncertainty(model, dataset, np.array([1, 2]), 70, 4) == pytest.approx(expected, rel=1e-3)


def test_models_are_scored_on_the_same_clips(dataset, exploring_checkpoint, tmp_path):
    models = {name: Path(exploring_checkpoint) for name in ("base", "refitted")}
    options = {"clips": 3, "seed": 1, "device": "cpu"}
    scores = score_models(models, dataset, np.array([0]), out=tmp_path, **options)
    base, refitted = scores["base"], scores["refitted"]
    assert json.loads(json.dumps(base.evaluation)) == base.evaluation
    assert base.uncertainty == refitted.uncertainty and base.main_figures() == refitted.main_figures()
    loaded = Checkpoint.load(exploring_checkpoint)
    alone = evaluate(loaded, dataset, episodes=np.array([0]), clips=3, seed=1, long_steps=0)
    assert refitted.psnr == pytest.approx(alone.prediction.psnr, abs=0.2)
    assert all((tmp_path / name / "prediction.png").is_file() for name in models)
    main = refitted.main_figures()
    assert main["PSNR t = 4, dB"] == refitted.psnr[3]
    assert main["intrinsic reward"] == refitted.uncertainty


def test_coverage_of_each_dataset(dataset, tmp_path):
    other = record(tmp_path / "round-1" / "data", 8, 40, first=7)
    first, second = count_coverage([dataset.folder, other]).runs
    assert (first.label, second.label) == ("toy: toy", "round-1: toy")
    frames = second.frames
    assert frames == min(EpisodeDataset(other).lengths.sum(), dataset.lengths.sum())
    coverage = StateCoverage()
    coverage.add(EpisodeDataset(other)[0].frames[:frames])
    assert replace(second, positions=None) == CoverageReport("toy", other, frames, len(coverage), None)
    assert 1 < second.positions <= frames


def test_coverage_that_cannot_be_measured_says_why(dataset, tmp_path):
    other = record(tmp_path / "other", 1, 20)
    header = json.loads((other / "recording.json").read_text())
    header["game"]["name"] = "Another"
    (other / "recording.json").write_text(json.dumps(header))
    assert "within one game only" in count_coverage([dataset.folder, other]).error
