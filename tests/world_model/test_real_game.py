"""A name leads to a game that can be started: of the list, named by the user, or described by files of the user's."""

import json
import shutil
import sys
from dataclasses import replace

import pytest

from genie_gym import games
from genie_gym.data import EpisodeWriter
from genie_gym.errors import CheckpointError, ConfigError, DataError, GameError
from genie_gym.utils import paths
from genie_gym.utils.options import EnvOptions
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.real_game import named_options, real_game
from tests.catch import make
from tests.checkpoint_files import change_config
from tests.conftest import untrained

CATCH = EnvOptions(env="tests.catch:make")


def write_header(spec: games.GameSpec, folder=None) -> None:
    EpisodeWriter(folder or paths.data_dir(spec.name), {"game": spec.to_dict(), "actions": spec.meanings}).close()


def write_checkpoint(spec: games.GameSpec, folder) -> None:
    replace(untrained(), game={**untrained().game, "name": spec.name, "env": spec.env.to_dict()}).save(folder)


def test_games_of_the_list_are_found_as_ever():
    assert real_game("airstriker", EnvOptions()) == games.find("Airstriker-Genesis")
    with pytest.raises(GameError, match="Did you mean"):
        real_game("airstrike", EnvOptions())
    with pytest.raises(GameError, match="--env"):
        real_game("Nonesuch-Own", EnvOptions())


@pytest.mark.parametrize("title", ["Mine", "Mine-Own", "GenieRedux/Mine-v0", "GenieRedux/Mine-Own-v0"])
def test_the_user_names_an_environment(title):
    spec = real_game(title, replace(CATCH, env_kwargs='{"size": 64}'))
    assert (spec.name, spec.title, spec.env.kwargs) == ("Mine-Own", "Mine", {"size": 64})
    assert games.make(spec).reset(seed=0)[0].any()


@pytest.mark.parametrize("kind", ["dataset", "named dataset", "weights", "named checkpoint"])
def test_what_files_say_is_kept_but_must_be_named(kind, tmp_path):
    recorded = games.own("Mine", make, env_kwargs={"size": 64, "fall": 3}, env_actions=[7, 5])
    named = {"named dataset": {"folder": tmp_path}, "named checkpoint": {"checkpoint": str(tmp_path)}}.get(kind, {})
    if "dataset" in kind:
        write_header(recorded, named.get("folder"))
    else:
        write_checkpoint(recorded, named.get("checkpoint", paths.weights_dir("Mine-Own")))
    with pytest.raises(GameError, match=r"--env tests\.catch:make$"):
        real_game("Mine", EnvOptions(), **named)
    assert real_game("Mine", CATCH, **named) == recorded
    assert real_game("Mine", replace(CATCH, env_actions="[6]"), **named).meanings == ["STAY"]


def test_a_file_says_nothing_about_other_games(tmp_path):
    spec = games.own("Mine", make, env_kwargs={"size": 64})
    write_header(spec, tmp_path)
    with pytest.raises(GameError, match="Unknown game"):
        real_game("Other", EnvOptions(), folder=tmp_path)
    assert real_game("Other", CATCH, folder=tmp_path).env.kwargs == {}
    assert real_game("Mine", replace(CATCH, env="tests.catch:Catch"), folder=tmp_path).env.kwargs == {}


def test_arguments_of_a_file_are_not_given_to_what_the_user_names(tmp_path):
    write_header(games.own("Mine", make), tmp_path)
    header = json.loads((tmp_path / "recording.json").read_text())
    header["game"]["env"]["kwargs"] = {"size": "evil:code"}
    (tmp_path / "recording.json").write_text(json.dumps(header))
    with pytest.raises(GameError, match=r"--env-kwargs '\{\"size\": \"evil:code\"\}'"):
        real_game("Mine", CATCH, folder=tmp_path)
    assert real_game("Mine", replace(CATCH, env_kwargs="{}"), folder=tmp_path).env.kwargs == {}


def test_an_id_of_an_installed_package_is_started_again():
    pytest.importorskip("pygame", reason="needs pygame: pip install genie_gym[play]")
    spec = real_game("Cart", EnvOptions(env="CartPole-v1"))
    write_header(spec)
    assert real_game("Cart", EnvOptions()) == spec
    shutil.rmtree(paths.data_dir(spec.name))
    write_checkpoint(spec, paths.weights_dir(spec.name))
    assert real_game("Cart", EnvOptions()) == spec


def test_loading_anything_of_a_stranger_imports_nothing(tmp_path):
    spec = games.own("Mine", make)
    hostile = replace(spec, env=replace(spec.env, env="antigravity:make"))
    write_header(hostile)
    write_checkpoint(hostile, tmp_path)
    checkpoint = Checkpoint.load(tmp_path)
    with pytest.raises(GameError, match="--env antigravity:make"):
        games.make(games.GameSpec.from_dict(checkpoint.game))
    with pytest.raises(GameError, match="--env antigravity:make"):
        real_game("Mine", EnvOptions(), checkpoint=str(tmp_path))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("env", [7, {"env": 7}, {"env": "x", "kwargs": []}, {"env": "x", "code": "y"}])
def test_a_checkpoint_with_an_environment_that_is_none(tmp_path, env):
    write_checkpoint(games.own("Mine", make), tmp_path)
    change_config(tmp_path, game={**Checkpoint.load(tmp_path).game, "env": env})
    with pytest.raises(CheckpointError, match="env"):
        Checkpoint.load(tmp_path)


def test_a_recording_keeps_to_one_environment(tmp_path):
    write_header(games.own("Mine", make), tmp_path)
    with pytest.raises(DataError, match="size"):
        write_header(games.own("Mine", make, env_kwargs={"size": 64}), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EnvOptions(env_kwargs="{}"), "name it with env"),
        (replace(CATCH, env_kwargs="size=9"), "env kwargs must be an object"),
        (replace(CATCH, env_kwargs="[1]"), "env kwargs must be an object"),
        (replace(CATCH, env_actions="left"), "env actions must be a list"),
        (replace(CATCH, env_actions="true"), "env actions must be a list"),
    ],
)
def test_options_that_say_nothing(options, message):
    with pytest.raises(ConfigError, match=message):
        real_game("Mine", options)


def test_the_first_argument_is_a_game_or_an_environment():
    assert named_options("Toy", {"steps": 3}) == {"game": "Toy", "steps": 3}
    name = {"game": "Mine", "env": "tests.catch:make"}
    assert named_options(make, {"game": "Mine"}) == named_options("tests.catch:make", {"game": "Mine"}) == name
    assert named_options(None, {"game": "Mine", "env": make}) == named_options("Mine", {"env": make}) == name
    given = named_options("Mine", {"env": make, "env_kwargs": {"size": 9}, "env_actions": [5, 6]})
    assert given == name | {"env_kwargs": '{"size": 9}', "env_actions": "[5, 6]"}
    with pytest.raises(ConfigError, match="game='Mine'"):
        named_options(make, {})
