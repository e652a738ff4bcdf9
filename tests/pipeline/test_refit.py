"""Rounds of a refit on the toy game: what each brings, what stays frozen, how it goes on, and the agent's way."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genie_gym.data import Recording, split
from genie_gym.errors import CheckpointError, ConfigError, DataError
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.pipeline.refit import RefitReport, refit
from genie_gym.pipeline.refit_config import RefitConfig
from genie_gym.pipeline.tune import TuneConfig
from genie_gym.world_model import Checkpoint
from tests.ctrl_c import ctrl_c
from tests.toy_play import record

CONFIG = RefitConfig("random", frames=100, max_steps=40, tune=TuneConfig(3, 4, lr=1.0), clips=4)
OPTIONS = {"workers": 1, "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def plays(tmp_path_factory) -> dict[str, Path]:
    """A recording to train on and one to test on."""
    folder = tmp_path_factory.mktemp("plays")
    return {"data": record(folder / "old", 4, 40), "test": record(folder / "unseen", 12, 40, first=10)}


@pytest.fixture(scope="module")
def done(plays, exploring_checkpoint, tmp_path_factory) -> tuple[Path, RefitReport]:
    folder = tmp_path_factory.mktemp("refit")
    out = {"run": folder / "run", "out": folder / "out"}
    return folder, refit("Toy", rounds=2, config=CONFIG, checkpoint=exploring_checkpoint, **plays, **out, **OPTIONS)


@pytest.fixture
def collected(done, plays, exploring_checkpoint, tmp_path) -> dict:
    """Options of a run of one round that has its play already, the same as the first round of `done`."""
    shutil.copytree(done[0] / "run" / "round-1" / "data", tmp_path / "run" / "round-1" / "data")
    own = {"config": CONFIG, "checkpoint": exploring_checkpoint, "data": plays["data"], "run": tmp_path / "run"}
    return own | OPTIONS


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Checkpoint.load(folder).model.state_dict()


def test_each_round_does_all_its_parts(done, plays):
    folder, report = done
    assert report.finished and len(report.rounds) == 2
    for number, figures in enumerate(report.rounds, 1):
        scores = {f"score on {play} play" for play in ("new", "old", "test")}
        assert figures.keys() == {"collect", "tune", "places"} | scores
        assert figures == json.loads((folder / "run" / f"round-{number}" / "figures.json").read_text())
        new = Recording(folder / "run" / f"round-{number}" / "data")
        assert figures["collect"]["steps"] == (new.lengths - 1).sum() >= 100
        assert {"psnr", "codes"} == figures["tune"]["decoder"].keys()
        for name in scores:
            without, with_ = (figures[name][model] for model in ("without", "with"))
            assert without["prediction"] != with_["prediction"]
            assert 0 < with_["uncertainty"] <= 2
    one, other = (Recording(folder / "run" / f"round-{number}" / "data") for number in (1, 2))
    assert not {one[i].frames.tobytes() for i in range(len(one))} & {e.frames.tobytes() for e in other.episodes()}


def test_encoder_and_codebook_keep_their_weights_and_the_rest_learns(done, exploring_checkpoint):
    folder, report = done
    before, after = weights(Path(exploring_checkpoint)), weights(report.checkpoint)
    assert report.checkpoint == folder / "run" / "round-2" / "checkpoint"
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {".".join(name.split(".")[:2]) for name in changed if name.startswith("tokenizer")} == {
        f"tokenizer.{part}" for part in ("from_code", "decoder", "to_pixels")
    }
    assert any(name.startswith("dynamics") for name in changed) and "dynamics.codebook" not in changed
    middle = weights(folder / "run" / "round-1" / "checkpoint")
    assert not torch.equal(middle["dynamics.to_logits.weight"], after["dynamics.to_logits.weight"])
    assert all(torch.equal(value, after[name]) for name, value in weights(folder / "out").items())


def test_the_checkpoint_names_all_rounds(done):
    provenance = Checkpoint.load(done[0] / "out").provenance
    assert [name for name in provenance if name.startswith("round")] == ["round 1", "round 2"]
    assert "play from random" in provenance["round 2"] and "decoder 3 steps" in provenance["round 2"]
    assert "round 1: play from random" in (done[0] / "out" / "README.md").read_text()


def test_the_page_needs_nothing_but_itself(done):
    html = done[1].page.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    score = done[1].rounds[1]["score on test play"]["with"]
    assert f"<td>{score['prediction']['psnr'][3]:,.4g}</td>" in html
    assert f"--test {done[1].rounds[1]['score on test play']['recording']}" in html
    assert html.count("data:image/png") == 1 + 2 * 3 * 2


def test_what_is_done_is_not_done_again_and_rounds_can_be_added(done, plays, exploring_checkpoint, monkeypatch):
    folder, report = done
    files = {path: path.stat().st_mtime_ns for path in (folder / "run").glob("round-*/**/*") if path.is_file()}
    monkeypatch.setattr("genie_gym.pipeline.refit_round.collect", None)
    options = {"checkpoint": exploring_checkpoint, **plays, **OPTIONS, "run": folder / "run"}
    again = refit("Toy", rounds=2, config=CONFIG, **options)
    assert again.rounds == report.rounds
    assert files == {path: path.stat().st_mtime_ns for path in (folder / "run").glob("round-*/**/*") if path.is_file()}
    with pytest.raises(TypeError):  # only now is there anything to collect
        refit("Toy", rounds=3, config=CONFIG, **options)
    with pytest.raises(ConfigError, match=r"has more than 1 round.s. already; ask for as many"):
        refit("Toy", rounds=1, config=CONFIG, **options)
    with pytest.raises(ConfigError, match=r"begun with new_share 0\.5, now asked for new_share 1\.0"):
        refit("Toy", config=replace(CONFIG, tune=replace(CONFIG.tune, new_share=1.0)), **options)


@pytest.mark.parametrize("stage", [pytest.param("decoder", marks=pytest.mark.slow), "dynamics"])
def test_an_interrupted_round_ends_with_the_same_weights(stage, done, collected):
    with ctrl_c(stage, 1):
        stopped = refit("Toy", **collected)
    assert stopped.stopped == "round 1, tune" and not stopped.finished
    assert stopped.checkpoint == stopped.folder / "round-0" / "checkpoint" and stopped.page.is_file()
    resumed, expected = refit("Toy", **collected), done[0] / "run" / "round-1" / "checkpoint"
    assert resumed.finished
    mine, theirs = weights(resumed.checkpoint), weights(expected)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_ctrl_c_while_scoring_keeps_what_was_done(collected, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("genie_gym.pipeline.refit_round.score_models", interrupt)
        stopped = refit("Toy", **collected)
    assert stopped.stopped == "round 1, score on new play" and stopped.rounds[0].keys() == {"collect", "tune", "places"}
    assert refit("Toy", **collected).finished


def test_an_explorer_collects_with_some_random_actions(plays, exploring_checkpoint, tmp_path):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    from genie_gym.sb3 import ExplorerConfig

    config = replace(CONFIG, data_from="autoexplore", explore_steps=32, envs=2, random_share=0.25)
    explorer = ExplorerConfig(steps=16, batch=32, epochs=1, lstm=8)
    options = {"checkpoint": exploring_checkpoint, "data": plays["data"], **OPTIONS, "run": tmp_path}
    report = refit("Toy", config=config, explorer=explorer, **options)
    assert report.finished and report.rounds[0]["explore"]["steps"] == 32
    assert sum(Recording(tmp_path / "round-1" / "learning").lengths - 1) == 32
    (run,) = Recording(tmp_path / "round-1" / "data").header["runs"]
    assert run["policy"].endswith("-random25") and run["random_share"] == 0.25
    assert run["agent"] == str(tmp_path / "round-1" / "explorer" / "agent.zip")
    assert "data:image/gif" in report.page.read_text()
    assert "agent trained for 32 steps" in Checkpoint.load(report.checkpoint).provenance["round 1"]


def test_an_explorer_learns_in_dreams_first(plays, exploring_checkpoint, tmp_path):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    from genie_gym.sb3 import ExplorerConfig

    config = replace(CONFIG, data_from="autoexplore", explore_steps=32, dream_steps=64, envs=2)
    explorer = ExplorerConfig(steps=16, batch=32, epochs=1, lstm=8)
    options = {"checkpoint": exploring_checkpoint, "data": plays["data"], **OPTIONS, "run": tmp_path}
    report = refit("Toy", config=config, explorer=explorer, **options)
    assert report.finished
    assert (report.rounds[0]["dream"]["steps"], report.rounds[0]["explore"]["steps"]) == (64, 32)
    begun = json.loads((tmp_path / "round-1" / "explorer" / "settings.json").read_text())
    assert begun["begin_with"] == str(tmp_path / "round-1" / "dreamer" / "agent.zip") and not begun["dream"]
    assert sum(Recording(tmp_path / "round-1" / "learning").lengths - 1) == 32
    provenance = Checkpoint.load(report.checkpoint).provenance["round 1"]
    assert "agent trained for 32 steps after 64 dreamed" in provenance
    assert "--dream-steps 64" in report.page.read_text()


def test_an_upscaler_that_lies_in_the_way_is_kept(done, plays, exploring_checkpoint, tmp_path):
    """Fitted while the refit ran, say: it was not there when the refit began."""
    shutil.copytree(done[0] / "run", tmp_path / "run")
    theirs = Checkpoint.load(exploring_checkpoint)
    theirs.upscaler = Upscaler(UpscalerConfig(widths=(4, 8)))
    theirs.save(tmp_path / "out")
    places = {"run": tmp_path / "run", "out": tmp_path / "out"}
    refit("Toy", rounds=2, config=CONFIG, checkpoint=exploring_checkpoint, **plays, **places, **OPTIONS)
    assert Checkpoint.load(tmp_path / "out").upscaler is not None
    new = weights(done[0] / "out")
    assert all(torch.equal(value, new[name]) for name, value in weights(tmp_path / "out").items())


def test_held_out_play_is_scored_only(plays, collected, monkeypatch):
    """The clips that are scored or validated with and those that are trained on have no frame in common."""
    seen: dict[str, list] = {"trained": [], "validated": [], "scored": []}
    asked: dict[str, list[int]] = {}

    def caught(kind, function, recording_at):
        def call(*args, **kwargs):
            seen[kind].append(args[recording_at])
            if kind == "trained":
                seen["validated"].append(args[recording_at + 1])
            if kind == "scored":
                asked[args[recording_at].folder.name] = sorted(kwargs["episodes"].tolist())
            return function(*args, **kwargs)

        return call

    from genie_gym.pipeline import refit_score, tune

    monkeypatch.setattr(tune, "fit_decoder", caught("trained", tune.fit_decoder, 1))
    monkeypatch.setattr(tune, "fit_dynamics", caught("trained", tune.fit_dynamics, 2))
    monkeypatch.setattr(refit_score, "evaluate", caught("scored", refit_score.evaluate, 1))
    refit("Toy", test=plays["test"], **collected)
    parts = [part for train in seen["trained"] for part in train.parts]
    assert len(parts) == 2 * 2
    for part in parts:
        held_out = split(part.recording)[1].tolist()
        assert held_out and not set(held_out) & set(part._indices.tolist())
        assert asked[part.recording.folder.name] == held_out
    assert str(plays["test"]) not in {str(part.recording.folder) for part in parts}
    for part in (part for held_out in seen["validated"] for part in held_out.parts):
        assert part._indices.tolist() == split(part.recording)[1].tolist()
    assert {recording.folder.name for recording in seen["scored"]} == {"data", "old", "unseen"}


def test_a_single_episode_is_too_little(plays, exploring_checkpoint, tmp_path):
    options = {"checkpoint": exploring_checkpoint, "data": plays["data"], **OPTIONS, "run": tmp_path}
    with pytest.raises(DataError, match=r"10 frames of Toy-Numpy are a single episode.*\(--frames\)"):
        refit("Toy", config=replace(CONFIG, frames=10), **options)


def test_what_cannot_work_is_said_before_anything_is_made(plays, exploring_checkpoint, tmp_path):
    options = {"checkpoint": exploring_checkpoint, "data": plays["data"], **OPTIONS, "run": tmp_path / "run"}
    with pytest.raises(ConfigError, match="unknown source of data 'fun'; choose one of: autoexplore"):
        RefitConfig("fun")
    with pytest.raises(ConfigError, match="frames must be 1 or more, got 0"):
        RefitConfig(frames=0)
    with pytest.raises(ConfigError, match=r"random_share must lie in \[0, 1\]; got 2"):
        RefitConfig(random_share=2)
    with pytest.raises(ConfigError, match="in dreams an agent can learn on autoexplore, game, not rnd"):
        RefitConfig("rnd", dream_steps=10)
    with pytest.raises(ConfigError, match="rounds must be 1 or more, got 0"):
        refit("Toy", rounds=0, **options)
    with pytest.raises(DataError, match="no recording in"):
        refit("Toy", **options | {"data": tmp_path / "nothing"})
    with pytest.raises(CheckpointError, match="no weights of Toy-Numpy"):
        refit("Toy", **options | {"checkpoint": None})
    with pytest.raises(ConfigError, match="is what the model is trained on; give play that it never sees"):
        refit("Toy", test=plays["data"], **options)
    other = record(tmp_path / "other", 2, 20)
    header = json.loads((other / "recording.json").read_text()) | {"actions": ["A", "B"]}
    (other / "recording.json").write_text(json.dumps(header))
    with pytest.raises(ConfigError, match="are A, B: give a recording"):
        refit("Toy", test=other, **options)
    assert not (tmp_path / "run").exists()
