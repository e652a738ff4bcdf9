"""LPIPS and FID of an evaluation are those of its frames; networks with random weights stand in."""

import numpy as np
import pytest
import torch

from genie_gym import data
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.evaluation.perceptual import PerceptualScore
from genie_gym.metrics.fid import FID
from genie_gym.metrics.lpips import LPIPS, alexnet
from tests.conftest import untrained
from tests.toy_play import record


def network(images: torch.Tensor, return_features: bool) -> torch.Tensor:
    return torch.cat([images.float().mean((2, 3)), images.float().std((2, 3))], 1)


@pytest.fixture
def measures(monkeypatch) -> tuple[LPIPS, FID]:
    torch.manual_seed(0)
    lpips, fid = LPIPS({f"features.{name}": value for name, value in alexnet().state_dict().items()}), FID(network)
    monkeypatch.setattr(LPIPS, "from_file", lambda path=None, device="cpu": lpips)
    monkeypatch.setattr(FID, "from_file", lambda path=None, device="cpu": fid)
    return lpips, fid


def test_distances_by_step_and_over_all(measures):
    rng = np.random.default_rng(0)
    shown, real = (rng.integers(0, 256, (3, 2, 64, 64, 3), np.uint8) for _ in range(2))
    found = PerceptualScore()(shown, real)
    for step in range(2):
        alone = [measures[0].distance(shown[clip, step], real[clip, step]) for clip in range(3)]
        assert found.lpips[step] == pytest.approx(np.mean(alone), rel=1e-4)
    assert found.fid == pytest.approx(measures[1].distance(shown, real))


def test_an_evaluation_has_them_if_asked_for(measures, tmp_path):
    dataset = data.EpisodeDataset(record(tmp_path, 4, 30))
    asked, not_asked = (
        evaluate(untrained(), dataset, clips=3, horizon=4, long_steps=0, perceptual=asked) for asked in (True, False)
    )
    assert not_asked.perceptual is None
    found = asked.perceptual
    assert [len(kind.lpips) for kind in (found.reconstruction, found.prediction, found.repeat)] == [6, 4, 4]
    # the toy hardly moves: the last frame repeated is closer than what an untrained model predicts
    assert found.repeat.lpips[0] < found.prediction.lpips[0] and found.repeat.fid < found.prediction.fid
    rows = str([list(column.cells) for column in asked.summary().columns])
    assert f"{found.prediction.lpips[3]:.3f}, {found.prediction.fid:.1f}" in rows
