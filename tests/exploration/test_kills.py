"""An exploration that is killed again and again: agent and episodes are whole, and never fewer than before."""

from functools import partial

import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from genie_gym.data import EpisodeDataset
from genie_gym.exploration.explore import explore
from genie_gym.sb3 import SavedAgent, train
from tests.conftest import LONG
from tests.exploration.test_explore import OPTIONS
from tests.kills import kills


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, pytest.param(200, marks=LONG)])
def test_many_kills_damage_nothing(tmp_path, monkeypatch, number):
    monkeypatch.setattr("genie_gym.sb3.train", partial(train, save_interval=0.0))
    folders, steps = {"out": tmp_path / "agent", "record": tmp_path / "data"}, 64

    def work() -> None:
        explore("Toy-Numpy", steps=steps, reward="game", **folders, **OPTIONS)

    episodes: set[str] = set()
    trained = 0
    for _ in kills(work, number, share=0.7):
        names = EpisodeDataset(tmp_path / "data").ids
        assert episodes <= set(names) and len(names) == len(set(names))
        now = SavedAgent(tmp_path / "agent" / "agent.safetensors").about["steps"]
        assert now >= trained
        episodes, trained, steps = set(names), now, now + 64  # there is always some work left
    work()
    assert SavedAgent(tmp_path / "agent" / "agent.safetensors").about["steps"] >= steps > 64
