"""The share of test frames visited in other datasets, and how well a tokenizer reconstructs them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from benchmarks.exploration import coverage
from genie_gym.data import Episode, EpisodeWriter


def record(folder: Path, *levels: int) -> Path:
    """Grey frames."""
    frames = np.zeros((len(levels), 64, 64, 3), np.uint8) + np.array(levels, np.uint8)[:, None, None, None]
    steps = len(levels) - 1
    with EpisodeWriter(folder, {"game": {"name": "Grey-Own"}, "actions": ["noop"]}) as writer:
        writer.append(Episode(frames, np.zeros(steps, np.int64), np.zeros(steps, np.float32)))
    return folder


class Tokenizer:
    """Reconstructs frames so many levels too bright, except for black ones."""

    def __init__(self, levels: int):
        self.levels = levels

    def encode(self, frames):
        assert frames.shape[1:] == (1, 3, 64, 64)  # each by itself
        return frames

    def decode(self, tokens):
        return tokens + self.levels / 255 * (tokens > 0)


@pytest.fixture
def models(monkeypatch):
    def load(folder):
        return SimpleNamespace(model=SimpleNamespace(tokenizer=Tokenizer(int(folder.name))))

    monkeypatch.setattr(coverage, "Checkpoint", SimpleNamespace(load=load))
    return {"before": Path("20"), "after": Path("5")}


def test_the_share_of_test_frames_visited_elsewhere(tmp_path):
    test = record(tmp_path / "test", 50, 50, 200, 100, 0, 250, 250, 250)
    visited = [record(tmp_path / "one", 0, 50), record(tmp_path / "other", 50, 100)]
    assert coverage.covered_share(visited, test) == 4 / 8


def test_reconstruction_of_visited_frames_and_others(tmp_path, models):
    test = record(tmp_path / "test", 0, 0, 0, 0, 100, 100, 200, 0)
    first, since = record(tmp_path / "first", 0, 0), [record(tmp_path / "since", 0, 100)]
    figures = coverage.quality_by_visit(test, first, since, models, seed=0)
    known, new, unknown = (figures[visit] for visit in coverage.VISITS)
    assert known == {"share": 5 / 8, "before": 60, "after": 60}
    for visit, share in ((new, 2 / 8), (unknown, 1 / 8)):
        assert visit["share"] == share
        assert visit["before"] == pytest.approx(20 * np.log10(255 / 20))
        assert visit["after"] == pytest.approx(20 * np.log10(255 / 5))


def test_no_frames_have_no_quality(tmp_path, models):
    test, first = record(tmp_path / "test", 0, 100), record(tmp_path / "first", 0, 100)
    figures = coverage.quality_by_visit(test, first, [first], models, seed=0)
    assert figures[coverage.VISITS[2]] == {"share": 0, "before": None, "after": None}


def test_each_level_counts_as_far_as_it_was_scrolled():
    rng = np.random.default_rng(0)
    pages, pixels, worlds, levels = (
        rng.integers(12, size=40),
        rng.integers(256, size=40),
        *rng.integers(3, size=(2, 40)),
    )
    most = np.zeros((3, 3))
    np.maximum.at(most, (worlds, levels), 256 * pages + pixels)
    assert coverage.scrolled_pixels(zip(pages, pixels, worlds, levels, strict=True)) == most.sum()
