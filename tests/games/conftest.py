"""Games are tested in an empty data folder, and no emulator outlives its test."""

from pathlib import Path

import pytest

from genie_gym import games


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """The data folder of one test."""
    monkeypatch.setenv("GENIE_GYM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GENIE_GYM_RETROACT", raising=False)
    return tmp_path / "home"


@pytest.fixture
def make():
    """`games.make`, closing what it made."""
    made = []

    def make_and_note(*args, **kwargs):
        made.append(games.make(*args, **kwargs))
        return made[-1]

    yield make_and_note
    for env in made:
        env.close()


@pytest.fixture
def ale_rom() -> Path:
    """Kangaroo's ROM as ale-py packages it."""
    roms = pytest.importorskip("ale_py.roms", reason="needs ale-py: pip install genie_gym[atari]")
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    return Path(roms.__file__).parent / "kangaroo.bin"
