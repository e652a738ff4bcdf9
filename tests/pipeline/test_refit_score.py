"""Scoring models on the same play, how unsure they are of it, and counting places without ending a refit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.data import Clips, Recording
from genie_gym.pipeline.evaluate import evaluate
from genie_gym.pipeline.places import Places
from genie_gym.pipeline.refit_score import count_places, main_figures, score_models, scores_of, uncertainty
from genie_gym.world_model import Checkpoint
from tests.conftest import reward_by_numpy, untrained
from tests.toy_play import record


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Recording:
    return Recording(record(tmp_path_factory.mktemp("score") / "toy", 3, 40))


def test_uncertainty_is_the_papers_reward_of_random_windows(recording):
    model = untrained(window=6).model
    drawn = Clips(recording, 5, [1, 2]).sample(np.random.default_rng(4), 70)  # more than one batch
    frames, actions = (torch.from_numpy(drawn[name]) for name in ("frames", "actions"))
    with torch.inference_mode():
        shown = model.tokenizer.encode(frames[:, :2].permute(0, 1, 4, 2, 3).float() / 255)
        hidden = torch.full_like(shown[:, :1], model.dynamics.hidden)
        led = torch.cat([torch.full((70, 1), -1), actions], 1)
        past = torch.cat([shown, hidden, hidden], 1)
        logits = model.dynamics.to_logits(model.dynamics.features(past, hidden, led)[:, -1])
    expected = reward_by_numpy(logits.numpy()).mean()
    assert uncertainty(model, recording, np.array([1, 2]), 70, 4) == pytest.approx(expected, rel=1e-3)


def test_models_are_scored_on_the_same_clips(recording, exploring_checkpoint, tmp_path):
    models = {name: Path(exploring_checkpoint) for name in ("without", "with")}
    options = {"clips": 3, "seed": 1, "device": "cpu"}
    figures = score_models(models, recording, np.array([0]), out=tmp_path, **options)
    assert json.loads(json.dumps(figures)) == figures
    for part in ("reconstruction", "prediction", "control", "uncertainty"):
        assert figures["with"][part] == figures["without"][part]
    loaded = Checkpoint.load(exploring_checkpoint)
    alone = evaluate(loaded, recording, episodes=np.array([0]), clips=3, seed=1, long_steps=0)
    assert figures["with"]["prediction"]["psnr"] == pytest.approx(alone["prediction"]["psnr"], abs=0.2)
    assert all((tmp_path / name / "prediction.png").is_file() for name in models)
    main = main_figures(figures["with"])
    assert main["PSNR t = 4, dB"] == figures["with"]["prediction"]["psnr"][3]
    assert main["intrinsic reward"] == figures["with"]["uncertainty"]


def test_scores_are_found_by_their_play():
    assert scores_of({"tune": {}, "score on new play": {"with": 1}}) == {"new play": {"with": 1}}


def test_places_are_counted_for_each_recording(recording, tmp_path):
    other = record(tmp_path / "round-1" / "data", 8, 40, first=7)
    found = count_places([recording.folder, other])
    assert found.keys() == {"toy: toy", "round-1: toy"}
    frames = found["round-1: toy"]["frames"]
    assert frames == min(Recording(other).lengths.sum(), recording.lengths.sum())
    places = Places()
    places.add(Recording(other)[0].frames[:frames])
    assert found["round-1: toy"] == {"frames": frames, "pictures": len(places), "positions": None}


def test_places_that_cannot_be_counted_say_why(recording, tmp_path):
    other = record(tmp_path / "other", 1, 20)
    header = json.loads((other / "recording.json").read_text())
    header["game"]["name"] = "Another"
    (other / "recording.json").write_text(json.dumps(header))
    assert "within one game only" in count_places([recording.folder, other])["error"]
