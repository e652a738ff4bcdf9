"""Rounds of a refit on the toy game: results, frozen weights, resuming, and the agents that collect."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from genie_gym.data import EpisodeDataset, split
from genie_gym.errors import CheckpointError, ConfigError, DataError
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.refitting.config import RefitConfig
from genie_gym.refitting.results import RefitReport, RoundReport
from genie_gym.refitting.runner import refit
from genie_gym.world_model import Checkpoint
from tests.ctrl_c import ctrl_c
from tests.toy_play import record

RECIPE = {"frames": 100, "max_steps": 40, "decoder_steps": 3, "dynamics_steps": 4, "lr_scale": 1.0, "clips": 4}
OPTIONS = {"policy_source": "random", "workers": 1, "device": "cpu", "progress": False, **RECIPE}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> dict[str, Path]:
    """A dataset to train on and one to test on."""
    folder = tmp_path_factory.mktemp("datasets")
    return {"data": record(folder / "old", 4, 40), "test": record(folder / "unseen", 12, 40, first=10)}


@pytest.fixture(scope="module")
def done(datasets, exploring_checkpoint, tmp_path_factory) -> tuple[Path, RefitReport]:
    folder = tmp_path_factory.mktemp("refit")
    out = {"run": folder / "run", "out": folder / "out"}
    return folder, refit("Toy", rounds=2, checkpoint=exploring_checkpoint, **datasets, **out, **OPTIONS)


@pytest.fixture
def collected(done, datasets, exploring_checkpoint, tmp_path) -> dict:
    """Options of a run of one round that has its new episodes already, those of the first round of `done`."""
    shutil.copytree(done[0] / "run" / "round-1" / "data", tmp_path / "run" / "round-1" / "data")
    own = {"checkpoint": exploring_checkpoint, "data": datasets["data"], "run": tmp_path / "run"}
    return own | OPTIONS


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Checkpoint.load(folder).model.state_dict()


def test_each_round_does_all_its_parts(done, datasets):
    folder, report = done
    assert report.finished and len(report.rounds) == 2
    for number, one in enumerate(report.rounds, 1):
        assert one == RoundReport.load(folder / "run" / f"round-{number}" / "figures.json")
        assert one.imagined is None and one.exploration is None and one.scores.keys() == {"new", "old", "test"}
        assert len(one.coverage.runs) > 1 and one.coverage.error is None
        new = EpisodeDataset(folder / "run" / f"round-{number}" / "data")
        assert one.collection.steps == (new.lengths - 1).sum() >= 100
        assert {"psnr", "codes"} == one.finetuning.decoder.keys()
        for scores in one.scores.values():
            assert scores.base.psnr != scores.refitted.psnr
            assert 0 < scores.refitted.uncertainty <= 2
    one, other = (EpisodeDataset(folder / "run" / f"round-{number}" / "data") for number in (1, 2))
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
    first, second = Checkpoint.load(done[0] / "out").metadata.finetuning
    assert "policy random" in second.source and second.stages["decoder"].steps == 3
    assert f"finetuning 1: {first.source}" in (done[0] / "out" / "README.md").read_text()


def test_the_page_needs_nothing_but_itself(done):
    html = done[1].page.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    scores = done[1].rounds[1].scores["test"]
    assert f"<td>{scores.refitted.psnr[3]:,.4g}</td>" in html
    assert f"--test {scores.dataset}" in html
    assert html.count("data:image/png") == 1 + 2 * 3 * 2


def test_what_is_done_is_not_repeated_and_rounds_can_be_added(done, datasets, exploring_checkpoint, monkeypatch):
    folder, report = done
    files = {path: path.stat().st_mtime_ns for path in (folder / "run").glob("round-*/**/*") if path.is_file()}
    monkeypatch.setattr("genie_gym.refitting.round.collect", None)
    options = {"checkpoint": exploring_checkpoint, **datasets, **OPTIONS, "run": folder / "run"}
    again = refit("Toy", rounds=2, **options)
    assert again.rounds == report.rounds
    assert files == {path: path.stat().st_mtime_ns for path in (folder / "run").glob("round-*/**/*") if path.is_file()}
    with pytest.raises(TypeError):  # only now is there anything to collect
        refit("Toy", rounds=3, **options)
    with pytest.raises(ConfigError, match=r"has more than 1 round.s. already; ask for as many"):
        refit("Toy", rounds=1, **options)
    with pytest.raises(ConfigError, match=r"started with new_share 0\.5, now asked for new_share 1\.0"):
        refit("Toy", **options | {"new_share": 1.0})


@pytest.mark.parametrize("stage", [pytest.param("decoder", marks=pytest.mark.slow), "dynamics"])
def test_an_interrupted_round_ends_with_the_same_weights(stage, done, collected):
    with ctrl_c(stage, 1):
        stopped = refit("Toy", **collected)
    assert stopped.stopped == "round 1, finetuning" and not stopped.finished
    assert stopped.checkpoint == stopped.folder / "round-0" / "checkpoint" and stopped.page.is_file()
    resumed, expected = refit("Toy", **collected), done[0] / "run" / "round-1" / "checkpoint"
    assert resumed.finished
    mine, theirs = weights(resumed.checkpoint), weights(expected)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_ctrl_c_while_scoring_keeps_what_was_done(collected, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("genie_gym.refitting.round.score_models", interrupt)
        stopped = refit("Toy", **collected)
    assert stopped.stopped == "round 1, scores on new episodes"
    (one,) = stopped.rounds
    assert one.collection and one.finetuning and one.coverage and not one.scores
    assert refit("Toy", **collected).finished


def test_an_explorer_collects_with_some_random_actions(datasets, exploring_checkpoint, tmp_path):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    from genie_gym.sb3 import ExplorerConfig

    config = {"policy_source": "autoexplore", "explore_steps": 32, "num_envs": 2, "epsilon": 0.25}
    explorer = ExplorerConfig(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=8)
    options = {"checkpoint": exploring_checkpoint, "data": datasets["data"], **OPTIONS, **config, "run": tmp_path}
    report = refit("Toy", explorer=explorer, **options)
    assert report.finished and report.rounds[0].exploration.steps == 32
    assert sum(EpisodeDataset(tmp_path / "round-1" / "explorer_data").lengths - 1) == 32
    (run,) = EpisodeDataset(tmp_path / "round-1" / "data").header["runs"]
    assert run["policy"].endswith("-random25") and run["epsilon"] == 0.25
    assert run["agent"] == str(tmp_path / "round-1" / "explorer" / "agent.safetensors")
    assert "data:image/gif" in report.page.read_text()
    assert "agent trained for 32 steps" in Checkpoint.load(report.checkpoint).metadata.finetuning[0].source


def test_an_explorer_is_pretrained_in_imagination(datasets, exploring_checkpoint, tmp_path):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    from genie_gym.sb3 import ExplorerConfig

    beyond = {"habituation": "both", "hash_bits": 8, "frontier": 0.5, "uncertainty": "round_trip", "action_sample": 3}
    config = {"policy_source": "autoexplore", "explore_steps": 32, "imagined_steps": 64, "num_envs": 2, **beyond}
    explorer = ExplorerConfig(n_steps=16, batch_size=32, n_epochs=1, lstm_hidden_size=8)
    options = {"checkpoint": exploring_checkpoint, "data": datasets["data"], **OPTIONS, **config, "run": tmp_path}
    report = refit("Toy", explorer=explorer, **options)
    assert report.finished
    assert (report.rounds[0].imagined.steps, report.rounds[0].exploration.steps) == (64, 32)
    begun = json.loads((tmp_path / "round-1" / "explorer" / "settings.json").read_text())
    assert begun["init_from"] == str(tmp_path / "round-1" / "imagined" / "agent.safetensors") and not begun["imagined"]
    assert {name: begun[name] for name in beyond} == beyond  # in imagination it is the paper's
    assert sum(EpisodeDataset(tmp_path / "round-1" / "explorer_data").lengths - 1) == 32
    (finetuning,) = Checkpoint.load(report.checkpoint).metadata.finetuning
    assert "agent trained for 32 steps after 64 in imagination" in finetuning.source
    assert "--imagined-steps 64" in report.page.read_text()


def test_an_upscaler_in_the_output_folder_is_kept(done, datasets, exploring_checkpoint, tmp_path):
    """Trained while the refit ran, for example: it was not there when the refit began."""
    shutil.copytree(done[0] / "run", tmp_path / "run")
    theirs = Checkpoint.load(exploring_checkpoint)
    theirs.upscaler = Upscaler(UpscalerConfig(widths=(4, 8)))
    theirs.save(tmp_path / "out")
    folders = {"run": tmp_path / "run", "out": tmp_path / "out"}
    refit("Toy", rounds=2, checkpoint=exploring_checkpoint, **datasets, **folders, **OPTIONS)
    assert Checkpoint.load(tmp_path / "out").upscaler is not None
    new = weights(done[0] / "out")
    assert all(torch.equal(value, new[name]) for name, value in weights(tmp_path / "out").items())


def test_held_out_episodes_are_scored_only(datasets, collected, monkeypatch):
    """Clips to score or validate on and clips to train on have no frame in common."""
    seen: dict[str, list] = {"trained": [], "validated": [], "scored": []}
    asked: dict[str, list[int]] = {}

    def spy(kind, function, position):
        def call(*args, **kwargs):
            seen[kind].append(args[position])
            if kind == "trained":
                seen["validated"].append(args[position + 1])
            if kind == "scored":
                asked[args[position].folder.name] = sorted(kwargs["episodes"].tolist())
            return function(*args, **kwargs)

        return call

    from genie_gym.refitting import score
    from genie_gym.training import finetune

    monkeypatch.setattr(finetune, "train_decoder", spy("trained", finetune.train_decoder, 1))
    monkeypatch.setattr(finetune, "train_dynamics", spy("trained", finetune.train_dynamics, 2))
    monkeypatch.setattr(score, "evaluate", spy("scored", score.evaluate, 1))
    refit("Toy", test=datasets["test"], **collected)
    parts = [part for train in seen["trained"] for part in train.parts]
    assert len(parts) == 2 * 2
    for part in parts:
        held_out = split(part.dataset)[1].tolist()
        assert held_out and not set(held_out) & set(part._indices.tolist())
        assert asked[part.dataset.folder.name] == held_out
    assert str(datasets["test"]) not in {str(part.dataset.folder) for part in parts}
    for part in (part for held_out in seen["validated"] for part in held_out.parts):
        assert part._indices.tolist() == split(part.dataset)[1].tolist()
    assert {dataset.folder.name for dataset in seen["scored"]} == {"data", "old", "unseen"}


def test_a_single_episode_is_not_the_end(datasets, exploring_checkpoint, tmp_path):
    """Nothing of one could be held out, so another is collected, rather than that the work before is lost."""
    options = {"checkpoint": exploring_checkpoint, "data": datasets["data"], **OPTIONS, "run": tmp_path}
    report = refit("Toy", **options | {"frames": 10})
    assert report.finished and report.rounds[0].collection.episodes == 2


def test_a_failing_report_costs_nothing(collected, tmp_path, monkeypatch):
    """Neither the scores nor the page are worth a round of training: what failed is done by the next call."""

    def fail(*args, **kwargs):
        raise ValueError("no such <font>")

    with monkeypatch.context() as patch:
        patch.setattr("genie_gym.refitting.runner.write_page", fail)
        patch.setattr("genie_gym.refitting.round.score_models", fail)
        with pytest.warns(UserWarning, match="no such <font>") as warned:
            report = refit("Toy", out=tmp_path / "out", **collected)
    assert len([one for one in warned if "no such <font>" in str(one.message)]) == 3  # new, old, page
    assert report.finished and report.page is None and not report.rounds[0].scores
    new, out = weights(report.checkpoint), weights(tmp_path / "out")
    assert all(torch.equal(value, new[name]) for name, value in out.items())
    again = refit("Toy", out=tmp_path / "out", **collected)
    assert again.page.is_file() and again.rounds[0].scores.keys() == {"new", "old"}


def test_what_cannot_work_is_reported_before_anything_is_written(datasets, exploring_checkpoint, tmp_path):
    options = {"checkpoint": exploring_checkpoint, "data": datasets["data"], **OPTIONS, "run": tmp_path / "run"}
    with pytest.raises(ConfigError, match="unknown policy source 'fun'; choose one of: autoexplore"):
        RefitConfig(game="Toy", policy_source="fun")
    with pytest.raises(ConfigError, match="frames must be 1 or more, got 0"):
        RefitConfig(game="Toy", frames=0)
    with pytest.raises(ConfigError, match=r"epsilon must lie in \[0, 1\]; got 2"):
        RefitConfig(game="Toy", epsilon=2)
    with pytest.raises(ConfigError, match="in imagination an agent can be trained on autoexplore, game, not rnd"):
        RefitConfig(game="Toy", policy_source="rnd", imagined_steps=10)
    with pytest.raises(ConfigError, match=r"workers must be \d+ or less, got 100000"):
        refit("Toy", **options | {"workers": 100_000})
    with pytest.raises(ConfigError, match="num envs must be 1024 or less, got 2000"):
        RefitConfig(game="Toy-Numpy", num_envs=2000)
    with pytest.raises(ConfigError, match="rounds must be 1 or more, got 0"):
        refit("Toy", rounds=0, **options)
    with pytest.raises(DataError, match="no dataset in"):
        refit("Toy", **options | {"data": tmp_path / "nothing"})
    with pytest.raises(CheckpointError, match="no weights of Toy-Numpy"):
        refit("Toy", **options | {"checkpoint": None})
    with pytest.raises(ConfigError, match=r"the model is trained on .*; give episodes that it never sees"):
        refit("Toy", test=datasets["data"], **options)
    other = record(tmp_path / "other", 2, 20)
    header = json.loads((other / "recording.json").read_text()) | {"actions": ["A", "B"]}
    header["game"]["actions"] = [{"meaning": name, "buttons": [], "keys": []} for name in header["actions"]]
    (other / "recording.json").write_text(json.dumps(header))
    with pytest.raises(ConfigError, match="are A, B: give a dataset"):
        refit("Toy", test=other, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["settings.json", "round-1/figures.json"])
def test_a_strangers_run_is_refused_in_one_line(name, done, datasets, exploring_checkpoint, tmp_path):
    shutil.copytree(done[0] / "run", tmp_path / "run")
    options = {"rounds": 2, "checkpoint": exploring_checkpoint, **datasets, "run": tmp_path / "run", **OPTIONS}
    for content in (b"", b"[]", 50_000 * b"[", b'{"game": "\\u001b[2J", "scores": {"../..": {}}}'):
        (tmp_path / "run" / name).write_bytes(content)
        with pytest.raises((CheckpointError, ConfigError)) as error:
            refit("Toy", **options)
        assert str(error.value).isprintable()


def test_another_device_may_resume_a_run_and_other_settings_may_not():
    config = RefitConfig(game="Toy-Numpy", rounds=1, workers=2)
    same = replace(config, rounds=3, workers=1, device="cuda", threads=4, test=Path("unseen"), run=Path("run"))
    assert same.identity() == config.identity()
    for changed in ({"seed": 1}, {"new_share": 1.0}, {"num_envs": 4}, {"imagined_steps": 9}, {"data": Path("other")}):
        assert replace(config, **changed).identity() != config.identity()
