"""LPIPS is that of torchmetrics with the same AlexNet, here with random weights."""

import numpy as np
import pytest
import torch
from torch import nn

from genie_gym.errors import CheckpointError
from genie_gym.metrics.lpips import ALEXNET, BATCH_SIZE, LPIPS, alexnet


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Weights as in torchvision's file: the convolutions among other layers."""
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in alexnet().state_dict().items()}
    return state | {"classifier.1.weight": torch.zeros(2, 2)}


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (2, 3, 64, 64, 3), np.uint8)
    return np.clip(real + rng.normal(0, 40, real.shape), 0, 255).astype(np.uint8), real


def torchmetrics_lpips(weights, monkeypatch) -> nn.Module:
    from torchmetrics.functional.image import lpips

    def features(net: str, pretrained: bool = False) -> nn.Sequential:
        assert net == "alexnet"
        layers = alexnet()
        layers.append(nn.MaxPool2d(3, 2))  # torchvision's last layer, which LPIPS leaves out
        layers.load_state_dict({name.removeprefix("features."): v for name, v in weights.items() if "features" in name})
        return layers

    monkeypatch.setattr(lpips, "_get_tv_model_features", features)
    return lpips._LPIPS(net="alex")


def test_the_distance_is_that_of_torchmetrics(weights, pair, monkeypatch):
    theirs = torchmetrics_lpips(weights, monkeypatch)
    ours = LPIPS(weights).distance(*pair)
    assert ours.shape == (2, 3) and ours.dtype == np.float64
    tensors = [torch.from_numpy(x.reshape(6, 64, 64, 3)).permute(0, 3, 1, 2).float() / 255 for x in pair]
    np.testing.assert_allclose(ours.ravel(), theirs(*tensors, normalize=True).numpy().ravel(), rtol=1e-4)
    assert ours.min() > 0


def test_equal_images_have_no_distance_and_many_are_processed_in_batches(weights, pair):
    measure = LPIPS(weights)
    assert measure.distance(pair[1], pair[1]).tolist() == [[0] * 3] * 2
    many = [np.concatenate([x[0, :1, :32, :32]] * BATCH_SIZE + [x[1, :2, :32, :32]]) for x in pair]
    found = measure.distance(*many)
    assert found.shape == (BATCH_SIZE + 2,) and found[:BATCH_SIZE].std() < 1e-6
    np.testing.assert_allclose(found[-2:], measure.distance(*(x[1, :2, :32, :32] for x in pair)), rtol=1e-4)


def test_the_published_file_is_asked_for():
    with pytest.raises(CheckpointError, match=r"LPIPS needs .* fetch them with: curl .*alexnet-owt-7be5be79\.pth"):
        LPIPS.from_file()
    assert ALEXNET.sha256.startswith("7be5be79")  # PyTorch's files have the beginning of their checksum in their names


def test_the_file_is_loaded_without_running_it(weights, tmp_path, monkeypatch):
    torch.save(weights, tmp_path / "alexnet.pth")
    with pytest.raises(CheckpointError, match="is not the file that LPIPS needs"):
        LPIPS.from_file(tmp_path / "alexnet.pth")
    content = (tmp_path / "alexnet.pth").read_bytes()
    monkeypatch.setattr(type(ALEXNET), "read", lambda self, path: content)
    frames = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    loaded = LPIPS.from_file(tmp_path / "alexnet.pth")
    np.testing.assert_array_equal(
        loaded.distance(frames, frames[::-1].copy()), LPIPS(weights).distance(frames, frames[::-1].copy())
    )
