"""Tuning: from the weights given, with the recipe's gentler sibling, on old and new play by share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.data import Recording, split
from genie_gym.errors import ConfigError, DataError
from genie_gym.fit import PRESETS, FitReport
from genie_gym.pipeline import tune as module
from genie_gym.pipeline.tune import TuneConfig, tune
from genie_gym.world_model import Checkpoint
from tests.conftest import untrained
from tests.toy_play import record


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> list[Recording]:
    """Two old ones of 6 and 2 episodes, and two new ones of 3."""
    folder, spans = tmp_path_factory.mktemp("tune"), ((0, 6), (20, 22), (30, 33), (40, 43))
    return [Recording(record(Path(folder) / str(first), last, 40, first)) for first, last in spans]


@pytest.fixture
def checkpoint() -> Checkpoint:
    return untrained(window=6)


def test_tuning_begins_with_the_weights_given(checkpoint, recordings, tmp_path):
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    report = tune(checkpoint, recordings[2:], TuneConfig(2, 2, lr=1e-3), tmp_path, old=recordings[:2])
    after = report.checkpoint.model.state_dict()
    assert before.keys() == after.keys()
    for name, value in after.items():
        torch.testing.assert_close(value, before[name], atol=1e-4, rtol=1e-4)
    assert not torch.equal(after["dynamics.to_logits.weight"], before["dynamics.to_logits.weight"])
    assert not any(p.requires_grad for p in report.checkpoint.model.parameters())


def test_half_of_the_starts_are_new(checkpoint, recordings, tmp_path):
    old = {one.numpy().tobytes() for one in checkpoint.starts["frames"]}
    starts = tune(checkpoint, recordings[2:], TuneConfig(1, 1), tmp_path).checkpoint.starts
    kept = [one.numpy().tobytes() in old for one in starts["frames"]]
    assert sum(kept) == len(old) == 6 and len(kept) == 6 + 32  # it had fewer than half of 64
    assert starts["actions"].shape == (38, 3)


def test_rounds_are_counted_in_the_provenance(checkpoint, recordings, tmp_path):
    checkpoint = replace(checkpoint, provenance={"preset": "tiny", "data": "play", "round 1": "before"})
    options = {"old": recordings[:2], "about": "new play"}
    provenance = tune(checkpoint, recordings[2:], TuneConfig(1, 2, seed=3), tmp_path, **options).checkpoint.provenance
    assert provenance.items() >= {"preset": "tiny", "data": "play", "round 1": "before"}.items()
    frames = sum(one.lengths.sum() for one in recordings[2:])
    assert provenance["round 2"].startswith(f"new play: 6 episodes, {frames} frames, drawn for 50% of the clips")
    assert "decoder 1 steps" in provenance["round 2"] and "dynamics 2 steps" in provenance["round 2"]
    assert {"tokenizer psnr", "dynamics accuracy"} <= provenance["metrics"].keys()


def test_recipe_and_shares(checkpoint, recordings, tmp_path, monkeypatch):
    caught = []

    def fit_decoder(model, train, held_out, config, folder):
        caught.append((train, config))
        return FitReport(7, 1.0, finished=False)

    monkeypatch.setattr(module, "fit_decoder", fit_decoder)
    config = TuneConfig(50, 60, lr=0.1, new_share=0.4, seed=9)
    report = tune(checkpoint, recordings[2:], config, tmp_path, old=recordings[:2])
    assert report.checkpoint is None and report.dynamics is None and report.decoder.steps == 7
    tune(checkpoint, recordings[2:], config, tmp_path)
    (train, used), (alone, _) = caught
    recipe = PRESETS["tiny"].fit_tokenizer
    assert used == replace(recipe, steps=50, lr=recipe.lr * 0.1, warmup=5, seed=9)
    frames = np.array([one.lengths[split(one)[0]].sum() for one in recordings[:2]])
    np.testing.assert_allclose(train._shares, [0.2, 0.2, *(0.6 * frames / frames.sum())])
    np.testing.assert_allclose(alone._shares, [0.5, 0.5])


def test_a_recording_with_nothing_to_train_on(checkpoint, tmp_path):
    alone = Recording(record(tmp_path / "alone", 10, 40, first=9))  # one whose id is held out
    with pytest.raises(DataError, match="has no episode to train on, only 1 to hold out; record more"):
        tune(checkpoint, [alone], TuneConfig(), tmp_path / "fit")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"decoder_steps": 0}, "steps must be 1 or more; got 0 and 3000"),
        ({"lr": 0.0}, "lr must be more than 0, got 0.0"),
        ({"new_share": 1.5}, "new_share must lie in"),
    ],
)
def test_options_out_of_range(options, says):
    with pytest.raises(ConfigError, match=says):
        TuneConfig(**options)
