"""A study of each kind, of untrained models of the toy game."""

import pytest

from genie_gym.studies import StudyConfig, open_study
from genie_gym.studies.store import StudyFile
from tests.conftest import untrained
from tests.toy_play import record


@pytest.fixture(scope="session")
def toy_models(tmp_path_factory) -> tuple[str, str, str]:
    """Folders of two models, called good and bad, and of a dataset."""
    folder = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("good", "bad")):
        untrained(seed=seed).save(folder / name)
    record(folder / "data", episodes=24, steps=40)
    return str(folder / "good"), str(folder / "bad"), str(folder / "data")


@pytest.fixture(scope="session")
def rating_study(toy_models, tmp_path_factory) -> StudyFile:
    """24 pairs to rate: eight of each model, and eight of two real clips."""
    good, bad, data = toy_models
    file = tmp_path_factory.mktemp("rate") / "study.sqlite"
    return open_study(StudyConfig(models=(good, bad), data=(data,), file=file, samples=24, device="cpu"))


@pytest.fixture(scope="session")
def choosing_study(toy_models, tmp_path_factory) -> StudyFile:
    """12 pairs to choose from: four frames and three actions."""
    good, bad, data = toy_models
    file = tmp_path_factory.mktemp("choose") / "study.sqlite"
    config = StudyConfig(kind="choose", models=(good, bad), data=(data,), file=file, samples=12, frames=8, device="cpu")
    return open_study(config)
