"""Weights are the published ones, or they are not read."""

import hashlib
import shlex

import pytest

from genie_gym.errors import CheckpointError
from genie_gym.metrics.pretrained import Weights
from genie_gym.utils import paths

CONTENT = b"a network"
SMALL = Weights("XYZ", "https://example.org/models/small.pth", hashlib.sha256(CONTENT).hexdigest())


def test_they_are_read_from_the_default_or_any_other_path(tmp_path):
    assert SMALL.path() == paths.home() / "metrics" / "small.pth"
    SMALL.path().parent.mkdir(parents=True)
    SMALL.path().write_bytes(CONTENT)
    assert SMALL.read() == CONTENT
    (tmp_path / "elsewhere").write_bytes(CONTENT)
    assert SMALL.read(tmp_path / "elsewhere") == SMALL.read(str(tmp_path / "elsewhere")) == CONTENT


def test_missing_weights_are_reported_with_the_command_that_fetches_them(tmp_path):
    with pytest.raises(CheckpointError, match="XYZ needs") as error:
        SMALL.read()
    words = shlex.split(str(error.value).rpartition("with: ")[2])
    assert words == ["curl", "-fL", "--create-dirs", "-o", str(SMALL.path()), SMALL.url]
    with pytest.raises(CheckpointError) as error:
        SMALL.read(tmp_path / "my file")
    assert f"'{tmp_path / 'my file'}'" in str(error.value) and "\n" not in str(error.value)


def test_another_checksum_is_refused(tmp_path):
    (tmp_path / "small.pth").write_bytes(CONTENT + b"!")
    with pytest.raises(CheckpointError, match=f"its SHA-256 is not {SMALL.sha256}; fetch it with: curl"):
        SMALL.read(tmp_path / "small.pth")
