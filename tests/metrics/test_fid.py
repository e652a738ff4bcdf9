"""FID is the Frechet distance of a network's features; here of a small one, called as the published one is."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.metrics.fid import BATCH_SIZE, FID, INCEPTION


class Means(nn.Module):
    """Mean and standard deviation of each colour; like the published network it takes bytes and a flag."""

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        assert return_features
        pixels = images.to(torch.float32).flatten(2) / 255
        return torch.cat([pixels.mean(2), pixels.std(2)], 1)


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    light = rng.uniform(0.2, 1, (2, 60, 1, 1, 3))
    images = [(rng.integers(0, 256, (60, 16, 16, 3)) * light[i]).astype(np.uint8) for i in range(2)]
    return images[0].reshape(2, 30, 16, 16, 3), images[1][:45]


def test_the_distance_is_that_of_torchmetrics_by_the_same_network(sets):
    class Flagged(nn.Module):
        num_features = 6

        def forward(self, images: Tensor) -> Tensor:
            return Means()(images, return_features=True)

    theirs = FrechetInceptionDistance(feature=Flagged())
    for images, real in zip(sets, (False, True), strict=True):
        theirs.update(torch.from_numpy(images.reshape(-1, 16, 16, 3)).permute(0, 3, 1, 2), real=real)
    assert FID(Means()).distance(*sets) == pytest.approx(theirs.compute().item(), rel=1e-3)


def test_many_images_are_processed_in_batches(sets):
    images = sets[0].reshape(-1, 16, 16, 3)
    assert len(images) > BATCH_SIZE
    colours = images.reshape(60, -1, 3) / 255
    expected = np.concatenate([colours.mean(1), colours.std(1, ddof=1)], 1)
    found = FID(Means()).features(images)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert FID(Means()).distance(images, images) == pytest.approx(0, abs=1e-6)


def test_a_single_image_has_no_covariance(sets):
    with pytest.raises(ConfigError, match="sets of two images or more; got 1 and 45"):
        FID(Means()).distance(sets[0][0, :1], sets[1])


def test_the_published_file_is_asked_for():
    with pytest.raises(CheckpointError, match=r"FID needs .* fetch them with: curl .*inception-2015-12-05\.pt"):
        FID.from_file()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_published_network_is_loaded_if_it_is_the_right_one(sets, tmp_path, monkeypatch):
    torch.jit.script(Means()).save(str(tmp_path / "inception.pt"))
    with pytest.raises(CheckpointError, match="is not the file that FID needs"):
        FID.from_file(tmp_path / "inception.pt")
    content = (tmp_path / "inception.pt").read_bytes()
    monkeypatch.setattr(type(INCEPTION), "read", lambda self, path: content)
    assert FID.from_file(tmp_path / "inception.pt").distance(*sets) == pytest.approx(FID(Means()).distance(*sets))
