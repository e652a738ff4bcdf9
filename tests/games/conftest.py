"""Fixtures: an empty data folder per test, and emulators that are closed after it."""

from pathlib import Path

import pytest

from genie_gym import games


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Return the data folder of the test."""
    monkeypatch.setenv("GENIE_GYM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GENIE_GYM_RETROACT", raising=False)
    return tmp_path / "home"


@pytest.fixture
def make():
    """Return `games.make`; its environments are closed after the test."""
    created = []

    def make_and_keep(*args, **kwargs):
        created.append(games.make(*args, **kwargs))
        return created[-1]

    yield make_and_keep
    for env in created:
        env.close()


@pytest.fixture
def ale_rom() -> Path:
    """Return the path of Kangaroo's ROM in ale-py."""
    roms = pytest.importorskip("ale_py.roms", reason="needs ale-py: pip install genie_gym[atari]")
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    return Path(roms.__file__).parent / "kangaroo.bin"
