"""Every option of a command arrives where it is used, under its own name."""

import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from genie_gym.cli import data, evaluate, explore, judge, main, train, visualize
from genie_gym.errors import ConfigError
from genie_gym.training.config import FinetuneRunConfig, MapActionsConfig, TrainConfig, UpscalerTrainConfig

ENV = {"env": "mine:make", "env_kwargs": '{"size": 9}', "env_picture": "front", "env_actions": "[[0], [1]]"}
COMMANDS = (
    *(data.import_roms, data.games, data.collect, data.convert),
    *(train.train, train.finetune, train.train_upscaler, train.train_termination, train.map_actions),
    evaluate.evaluate,
    *(explore.explore, explore.coverage, explore.refit, visualize.demo, visualize.inspect, visualize.play),
    *(visualize.serve, visualize.export_web, judge.run_study, judge.study_results, judge.annotate),
)


def arrived(monkeypatch, where: str, command: list[str], given: dict[str, object]) -> tuple[tuple, dict[str, object]]:
    """What the function at `where` is called with by a command with these options; True stands for a flag."""
    got: list[Any] = []

    def caught(*positional, **options):
        got.extend([positional, options])
        raise ConfigError("seen enough")

    monkeypatch.setattr(where, caught)
    words: list[str] = []
    for name, value in given.items():
        values = () if value is True else value if isinstance(value, tuple) else (value,)
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    assert main([*command, *words]) == 2
    return got[0], got[1]


def explanations(kind: type) -> str:
    """The docstrings of a configuration and of the option groups that it inherits from."""
    return "\n".join(inspect.getdoc(one) or "" for one in kind.__mro__ if is_dataclass(one))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_option_is_explained(command):
    for name, kind in get_type_hints(command).items():
        if is_dataclass(kind):
            for field in fields(kind):
                assert re.search(rf"^    {field.name}: [A-Z]", explanations(kind), re.MULTILINE), field.name
        elif name != "return":
            assert re.search(rf"^        {name}: \S", command.__doc__, re.MULTILINE), name


BEYOND = {"uncertainty": "round_trip", "action_sample": 3, "habituation": "both", "hash_bits": 9, "frontier": 0.5}
PAPERS = {"uncertainty": "entropy", "action_sample": 4, "habituation": "none", "hash_bits": 16, "frontier": 0.0}
IN_IMAGINATION = {"imagined": True, "reward": "game", "record": None, "ray": None, **dict.fromkeys(ENV), **PAPERS}


@pytest.mark.parametrize("imagined", [{}, IN_IMAGINATION])
def test_explore(monkeypatch, imagined):
    given = {"steps": 7, "reward": "autoexplore", "checkpoint": "c", "score_interval": 3, "num_envs": 5, "seed": 9}
    given |= {"max_steps": 11, "init_from": "b", "record": Path("r"), "out": Path("o"), "compile": True}
    given |= {"device": "cpu", "threads": 2, "ray": "auto", **ENV, **BEYOND, **imagined}
    options = {name: value for name, value in given.items() if value is not None}
    (config,), _ = arrived(monkeypatch, "genie_gym.exploration.explore.explore", ["explore", "Toy"], options)
    assert vars(config) == {"game": "Toy", "imagined": False} | given


def test_refit(monkeypatch):
    given = {"policy_source": "autoexplore", "explore_steps": 7, "frames": 8, "epsilon": 0.3, "score_interval": 2}
    given |= {"num_envs": 5, "max_steps": 11, "clips": 3, "seed": 9, "imagined_steps": 6}
    given |= {
        "decoder_steps": 21,
        "dynamics_steps": 22,
        "minutes": 2.5,
        "lr_scale": 0.23,
        "new_share": 0.24,
        "weights": "lora",
        "rank": 3,
    }
    given |= {"rounds": 6, "checkpoint": "c", "data": Path("d"), "test": Path("t"), "out": Path("o"), "run": Path("u")}
    given |= {"workers": 4, "device": "cpu", "threads": 2, **ENV, **BEYOND}
    (config,), _ = arrived(monkeypatch, "genie_gym.refitting.runner.refit", ["refit", "Toy"], given)
    assert vars(config) == {"game": "Toy"} | given


def test_coverage(monkeypatch):
    where = "genie_gym.exploration.coverage.compare_coverage"
    (config,), _ = arrived(monkeypatch, where, ["coverage", "Toy", "folder"], {"frames": 7})
    assert vars(config) == {"datasets": ("Toy", "folder"), "frames": 7}


def test_collect(monkeypatch):
    given = {"steps": 7, "workers": 3, "seed": 9, "policy": "sticky", "epsilon": 0.3}
    given |= {
        "max_steps": 11,
        "savestates": ("Level1-1", "Level2-1"),
        "high_res": True,
        "out": Path("o"),
        "ray": "auto",
        **ENV,
    }
    (config,), _ = arrived(monkeypatch, "genie_gym.collection.collect.collect", ["collect", "Toy"], given)
    assert vars(config) == {"game": "Toy", "games": (), "episodes": None} | given
    (config,), _ = arrived(
        monkeypatch, "genie_gym.collection.collect.collect", ["collect", "Toy", "--episodes", "2"], {}
    )
    assert (config.steps, config.target_steps, config.episodes) == (None, None, 2)


def test_convert(monkeypatch):
    given = {"game": "Mine", "fps": 12.5, "terminated": True, "keep_bars": True, "cuts": True, "workers": 3}
    command = ["convert", "v.mp4", "a.csv", "--out", "o", "--action-names", "left", "right"]
    (config,), _ = arrived(monkeypatch, "genie_gym.data.convert.convert", command, given)
    places = {"path": Path("v.mp4"), "actions": Path("a.csv"), "out": Path("o")}
    assert vars(config) == given | places | {"action_names": ("left", "right")}


@pytest.mark.parametrize("switches", [{}, {"joint": True}, {"compile": True}])
def test_train(monkeypatch, switches):
    given = {"preset": "small", "minutes": 1.5, "data": Path("d"), "out": Path("o"), "run": Path("r"), "seed": 9}
    given |= {"threads": 2, "latent_actions": 5, **switches}
    got = arrived(monkeypatch, "genie_gym.training.world_model.train", ["train", "Toy-Numpy"], given)
    assert got == ((TrainConfig("Toy-Numpy", **given),), {})
    command = ["train", "Both", "--games", "Toy", "Pong-Ale,Breakout-Ale"]
    (config,), _ = arrived(monkeypatch, "genie_gym.training.world_model.train", command, {})
    assert config == TrainConfig("Both", games=("Toy", "Pong-Ale,Breakout-Ale"))


def test_train_upscaler(monkeypatch, toy_checkpoint):
    given = {"preset": "small", "minutes": 1.5, "data": Path("d"), "out": Path("o"), "run": Path("r"), "seed": 9}
    given |= {"threads": 2, "game": "Pong"}
    where = "genie_gym.training.add_upscaler.add_upscaler"
    got = arrived(monkeypatch, where, ["train-upscaler", toy_checkpoint], given)
    assert got == ((UpscalerTrainConfig(toy_checkpoint, **given),), {})


def test_train_termination(monkeypatch):
    given = {"steps": 7, "clips": 8, "out": Path("o"), "run": Path("r"), "seed": 9, "threads": 2, "game": "Pong"}
    where = "genie_gym.training.replace_termination.replace_termination"
    (config,), _ = arrived(monkeypatch, where, ["train-termination", "Toy-Numpy", "--data", "a", "b"], given)
    assert vars(config) == {"checkpoint": "Toy-Numpy", "data": (Path("a"), Path("b"))} | given


def test_finetune(monkeypatch):
    given = {"decoder_steps": 7, "dynamics_steps": 8, "lr_scale": 0.2, "new_share": 0.7, "seed": 9, "threads": 2}
    given |= {"out": Path("o"), "run": Path("r"), "game": "Pong", "weights": "actions", "rank": 3, "real_actions": True}
    command = ["finetune", "Toy-Numpy", "--data", "a", "b", "--old", "c"]
    got = arrived(monkeypatch, "genie_gym.training.finetune.finetune", command, given)
    folders = {"data": (Path("a"), Path("b")), "old": (Path("c"),)}
    assert got == ((FinetuneRunConfig(checkpoint="Toy-Numpy", **folders, **given),), {})


def test_map_actions(monkeypatch):
    given = {"data": Path("d"), "out": Path("o"), "seed": 9, "game": "Pong"}
    got = arrived(monkeypatch, "genie_gym.training.map_actions.map_actions", ["map-actions", "Toy-Numpy"], given)
    assert got == ((MapActionsConfig("Toy-Numpy", **given),), {})


def test_demo(monkeypatch):
    given = {"steps": 20, "seed": 9, "checkpoint": "c", "out": Path("o"), "threads": 2, **ENV}
    (config,), _ = arrived(monkeypatch, "genie_gym.evaluation.demo.demo", ["demo", "Toy"], given)
    assert vars(config) == {"game": "Toy"} | given


def test_evaluate(monkeypatch):
    given = {"data": Path("d"), "clips": 3, "context": 4, "horizon": 5, "long_steps": 6, "num_rollouts": 7, "seed": 9}
    given |= {"perceptual": True, "real_actions": True, "out": Path("o"), "device": "cpu", "threads": 2}
    given |= {"sampling_steps": 8, "temperature": 0.5, "order": "random", "min_p": 0.1, "game": "Pong", "ray": "auto"}
    (config,), _ = arrived(monkeypatch, "genie_gym.evaluation.evaluate.evaluate", ["evaluate", "Toy"], given)
    assert vars(config) == {"checkpoint": "Toy"} | given


def test_inspect(monkeypatch):
    given = {"data": Path("d"), "clips": 3, "seed": 9, "out": Path("o"), "device": "cpu", "threads": 2, "game": "Pong"}
    (config,), _ = arrived(monkeypatch, "genie_gym.analysis.inspect.inspect", ["inspect", "Toy"], given)
    assert vars(config) == {"checkpoint": "Toy"} | given


def test_play(monkeypatch):
    given = {"device": "cpu", "zoom": 3.0, "seed": 9, "upscale": True, "latent": True, "game": "Pong"}
    (config,), _ = arrived(monkeypatch, "genie_gym.envs.play.play", ["play", "Toy"], given)
    assert vars(config) == {"checkpoint": "Toy"} | given


def test_study(monkeypatch):
    pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")
    given = {"file": Path("f"), "kind": "choose", "samples": 7, "frames": 5, "context": 3, "shown": "reconstruction"}
    given |= {"starts": Path("s"), "seed": 9, "device": "cpu", "threads": 2}
    many = {"labels": ("x", "y"), "data": (Path("d"), Path("e")), "actions": ("UP",)}
    words = [word for name, values in many.items() for word in (f"--{name}", *map(str, values))]
    command = ["study", "run", "a", "b", *words]
    (config,), _ = arrived(monkeypatch, "genie_gym.studies.opening.open_study", command, given)
    assert vars(config) == {"models": ("a", "b")} | many | given


def test_study_results(monkeypatch):
    where = "genie_gym.studies.results.study_results"
    (config,), _ = arrived(monkeypatch, where, ["study", "results", "f"], {"out": Path("o")})
    assert vars(config) == {"file": Path("f"), "out": Path("o")}


def test_annotate(monkeypatch):
    pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")
    given = {"file": Path("f"), "only": "new", "seed": 9, "port": 7, "host": "0.0.0.0", "token": "correcthorsebattery"}
    (config,), _ = arrived(monkeypatch, "genie_gym.annotation.sheet.Sheet", ["annotate", "Toy", "Pong"], given)
    assert vars(config) == {"games": ("Toy", "Pong")} | given
