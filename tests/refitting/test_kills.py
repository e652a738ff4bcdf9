"""A refit that is killed again and again: nothing of it is damaged, and its end is the same."""

import shutil

import pytest

from genie_gym.data import EpisodeDataset
from genie_gym.refitting.results import RoundReport
from genie_gym.refitting.runner import refit
from genie_gym.world_model import Checkpoint
from tests.conftest import LONG
from tests.kills import FORK, kills
from tests.refitting.test_runner import OPTIONS
from tests.toy_play import record
from tests.training.test_kills import same_weights


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, pytest.param(200, marks=LONG)])
def test_many_kills_damage_nothing_and_change_nothing(exploring_checkpoint, tmp_path, monkeypatch, number):
    monkeypatch.setattr("genie_gym.collection.workers.multiprocessing.get_context", lambda kind: FORK)  # no imports
    own = {"checkpoint": exploring_checkpoint, "data": record(tmp_path / "data", 4, 40), **OPTIONS}
    refit("Toy", run=tmp_path / "whole", out=tmp_path / "expected", **own)
    run, out = tmp_path / "run", tmp_path / "out"
    episodes: set[str] = set()
    reached = set()
    for died in kills(lambda: refit("Toy", run=run, out=out, **own), number, share=0.5):
        one = run / "round-1"
        names = EpisodeDataset(one / "data").ids if list(one.glob("data/*.h5")) else []
        assert episodes <= set(names) and len(names) == len(set(names))
        episodes, report = set(names), RoundReport.load(one / "figures.json")
        assert report.finetuning is None or same_weights(one / "checkpoint", tmp_path / "expected")
        if (one / "checkpoint").exists():
            Checkpoint.load(one / "checkpoint")
        assert not out.exists() or same_weights(out, tmp_path / "expected")
        reached.add((len(names), report.collection is not None, report.finetuning is not None, len(report.scores)))
        if not died:  # it begins anew, and replaces the checkpoint at its end
            assert out.exists() and len(report.scores) == 2
            shutil.rmtree(run)
            episodes = set()
    assert len(reached) > 1
    refit("Toy", run=run, out=out, **own)
    assert same_weights(out, tmp_path / "expected")
