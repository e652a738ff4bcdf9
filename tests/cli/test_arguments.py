"""Every option of a command arrives where it is used, under its own name."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from genie_gym.cli import gather, learn, main, seek, watch
from genie_gym.errors import ConfigError

COMMANDS = (
    *(gather.import_roms, gather.games, gather.collect, gather.convert),
    *(learn.fit, learn.fit_upscaler, learn.evaluate, learn.map_buttons),
    *(seek.explore, seek.places, seek.refit, watch.demo, watch.inspect, watch.play),
)


def arrived(monkeypatch, where: str, command: list[str], given: dict[str, object]) -> tuple[tuple, dict[str, object]]:
    """What the function at `where` is called with by a command with these options; True stands for a flag."""
    got: list[Any] = []

    def caught(*positional, **options):
        got.extend([positional, options])
        raise ConfigError("seen enough")

    monkeypatch.setattr(where, caught)
    words = [
        word
        for name, value in given.items()
        for word in ([f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", str(value)])
    ]
    assert main([*command, *words]) == 2
    return got[0], got[1]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_option_is_explained(command):
    for name in inspect.signature(command).parameters:
        assert re.search(rf"^        {name}: \S", command.__doc__, re.MULTILINE), name


@pytest.mark.parametrize("dream", [{}, {"dream": True}])
def test_explore(monkeypatch, dream):
    given = {"steps": 7, "reward": "rnd", "checkpoint": "c", "every": 3, "envs": 5, "seed": 9, "max_steps": 11}
    given |= {
        "begin_with": "b",
        "record": Path("r"),
        "out": Path("o"),
        "compile": True,
        "device": "cpu",
        "threads": 2,
        **dream,
    }
    got = arrived(monkeypatch, "genie_gym.pipeline.explore.explore", ["explore", "Toy"], given)
    assert got == (("Toy",), {"dream": False} | given)


def test_refit(monkeypatch):
    config = {"data_from": "game", "explore_steps": 7, "frames": 8, "random_share": 0.3, "every": 2, "envs": 5}
    config |= {"max_steps": 11, "clips": 3, "seed": 9, "dream_steps": 6}
    tune = {"decoder_steps": 21, "dynamics_steps": 22, "lr": 0.23, "new_share": 0.24}
    own = {"rounds": 6, "checkpoint": "c", "data": Path("d"), "test": Path("t"), "out": Path("o"), "run": Path("u")}
    own |= {"workers": 4, "device": "cpu", "threads": 2}
    game, got = arrived(monkeypatch, "genie_gym.pipeline.refit.refit", ["refit", "Toy"], config | tune | own)
    used = got.pop("config")
    assert (game, got) == (("Toy",), own)
    assert {name: getattr(used, name) for name in config} == config
    assert {name: getattr(used.tune, name) for name in tune} == tune


def test_collect(monkeypatch):
    given = {"steps": 7, "episodes": 2, "workers": 3, "seed": 9, "policy": "sticky", "random_share": 0.3}
    given |= {"max_steps": 11, "large": True, "out": Path("o")}
    got = arrived(monkeypatch, "genie_gym.pipeline.collect.collect", ["collect", "Toy"], given)
    assert got == (("Toy",), given)


def test_convert_a_video(monkeypatch):
    given = {"game": "Mine", "fps": 12.5, "terminated": True, "keep_bars": True, "cuts": True}
    command = ["convert", "v.mp4", "a.csv", "--out", "o"]
    got = arrived(monkeypatch, "genie_gym.data.convert.from_video", command, given)
    expected = given | {"game": "Mine-Own", "action_names": None, "report": print}
    assert got == ((Path("v.mp4"), Path("a.csv"), Path("o")), expected)


def test_convert_pictures(monkeypatch, tmp_path):
    given = {"game": "Mine", "fps": 12.5, "terminated": True}
    command = ["convert", str(tmp_path), "a.csv", "--out", "o", "--action-names", "left", "right"]
    got = arrived(monkeypatch, "genie_gym.data.convert.from_frames", command, given)
    expected = given | {"game": "Mine-Own", "action_names": ("left", "right")}
    assert got == ((tmp_path, Path("a.csv"), Path("o")), expected)


@pytest.mark.parametrize("switches", [{}, {"joint": True}, {"compile": True}])
def test_fit(monkeypatch, switches):
    given = {"preset": "small", "minutes": 1.5, "data": Path("d"), "out": Path("o"), "run": Path("r"), "seed": 9}
    given |= {"threads": 2, "latent_actions": 5, **switches}
    game, got = arrived(monkeypatch, "genie_gym.pipeline.fit_world.fit_world", ["fit", "Toy-Numpy"], given)
    got["preset"] = got.pop("size")
    assert (game, got) == (("Toy-Numpy",), {"joint": False, "compile": False} | given)


def test_fit_upscaler(monkeypatch, toy_checkpoint):
    given = {"preset": "tiny", "minutes": 1.5, "data": Path("d"), "out": Path("o"), "run": Path("r"), "seed": 9}
    given |= {"threads": 2}
    where = "genie_gym.pipeline.add_upscaler.add_upscaler"
    place, got = arrived(monkeypatch, where, ["fit-upscaler", toy_checkpoint], given)
    got["preset"] = got.pop("size")
    assert ([str(one) for one in place], got) == ([toy_checkpoint], given)


def test_demo(monkeypatch):
    given = {"steps": 20, "seed": 9, "checkpoint": "c", "out": Path("o"), "threads": 2}
    got = arrived(monkeypatch, "genie_gym.pipeline.demo.demo", ["demo", "Toy"], given)
    assert got == (("Toy",), given)
