"""What a name stands for: games, checkpoints, datasets and agents; and when a folder is read anew."""

from pathlib import Path

import gymnasium as gym
import pytest

import genie_gym  # noqa: F401  (registers the ids)
from genie_gym import data
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import CheckpointError, ConfigError, DataError, GameError, GenieGymError
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import (
    load_checkpoint,
    resolve_agent,
    resolve_checkpoint,
    resolve_dataset,
    resolve_game,
    shipped_checkpoint,
)
from tests.conftest import untrained
from tests.toy_play import record

AIRSTRIKER = "Airstriker-Genesis"


@pytest.fixture
def no_hub(monkeypatch) -> None:
    """Whoever asks the hub fails the test."""

    def download(name: str, **options: object) -> str:
        raise AssertionError(f"asked the hub for {name}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)


@pytest.mark.parametrize("name", [AIRSTRIKER, "airstriker", "Airstriker-Genesis-v0", "GenieRedux/Airstriker-v0"])
def test_names_of_a_game(name):
    assert resolve_game(name) == AIRSTRIKER
    assert resolve_checkpoint(name) == resolve_checkpoint(None, name) == str(shipped_checkpoint(AIRSTRIKER))


@pytest.mark.parametrize("name", ["Pinball", "Pinball-Own", "GenieRedux/Pinball-Own-v0"])
@pytest.mark.parametrize("file", ["data/Pinball-Own/recording.json", "weights/Pinball-Own/config.json"])
def test_names_of_ones_own_game(home, name, file):
    with pytest.raises(GameError):
        resolve_game(name)
    assert resolve_game(name, "some/folder") == "Pinball-Own"
    (home / file).parent.mkdir(parents=True)
    (home / file).touch()
    assert resolve_game(name) == "Pinball-Own"


def test_ones_own_weights_by_every_way():
    own = untrained()
    own.game["name"] = "Pinball-Own"
    own.save(paths.weights_dir("Pinball-Own"))
    for name in ("Pinball", "Pinball-Own"):
        assert resolve_checkpoint(name) == str(paths.weights_dir("Pinball-Own"))
        assert Checkpoint.from_pretrained(name).game["name"] == "Pinball-Own"
        for options in ({"game": name}, {"checkpoint": name}):
            assert gym.make("GenieRedux/Toy-v0", **options).unwrapped.action_space.n == 4


def test_the_users_weights_come_before_those_that_ship():
    untrained(AIRSTRIKER).save(paths.weights_dir(AIRSTRIKER))
    assert resolve_checkpoint("Airstriker") == str(paths.weights_dir(AIRSTRIKER))


def test_a_checkpoint_in_the_current_folder_comes_before_a_game_of_its_name(toy_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("Airstriker").mkdir()  # hides nothing as long as it holds no checkpoint
    assert resolve_checkpoint("Airstriker") == str(shipped_checkpoint(AIRSTRIKER))
    Checkpoint.load(toy_checkpoint).save("Airstriker")
    assert load_checkpoint("Airstriker").game["name"] == "Toy-Numpy"
    assert resolve_checkpoint(None, "Airstriker") == str(shipped_checkpoint(AIRSTRIKER))  # an id names the game


def test_a_folder_below_home(toy_checkpoint, monkeypatch):
    monkeypatch.setenv("HOME", str(Path(toy_checkpoint).parent))
    assert resolve_checkpoint(f"~/{Path(toy_checkpoint).name}") == toy_checkpoint


@pytest.mark.parametrize("name", ["/no/such/folder", "./toy", "../toy", "~/nothing", "runs/toy", "a/b/c", "toy/"])
def test_a_mistyped_path_is_named_and_not_sent_to_the_hub(no_hub, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    for load in (resolve_checkpoint, load_checkpoint, Checkpoint.from_pretrained):
        with pytest.raises(CheckpointError, match="there is no checkpoint folder") as error:
            load(name)
        assert name in str(error.value)
    with pytest.raises(CheckpointError, match="there is no checkpoint folder"):
        WorldModelEnv(checkpoint=name)


def test_a_model_of_the_hub(no_hub, capsys):
    assert resolve_checkpoint("hub:someone/toy.v2") == "hub:someone/toy.v2"
    with pytest.raises(AssertionError, match="asked the hub for someone/toy"):
        load_checkpoint("hub:someone/toy")
    assert capsys.readouterr().err == ""


def test_what_may_be_a_folder_is_sent_to_the_hub_only_after_saying_so(no_hub, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="asked the hub for someone/toy"):
        load_checkpoint("someone/toy")
    (line,) = capsys.readouterr().err.splitlines()  # once, although the name is resolved more than once
    assert "no folder 'someone/toy'" in line and "hub:someone/toy" in line and "./someone/toy" in line


@pytest.mark.parametrize(
    "name", ["hub:", "hub:toy", "hub:../toy", "hub:a/..", "hub:a/b/c", "hub:/etc/passwd", "hub:a/b c"]
)
def test_what_is_no_name_of_the_hub(no_hub, name):
    with pytest.raises(CheckpointError, match="hub:user/model"):
        load_checkpoint(name)


@pytest.mark.parametrize("name", ["a/" + "x" * 5000, "x" * 5000, "a\0b", "/a\0b", "~nobody-here/x", "./" + "a/" * 3000])
def test_a_path_that_no_disk_can_have(no_hub, name):
    for given in (name, Path(name)):
        with pytest.raises(GenieGymError):
            load_checkpoint(given)
    with pytest.raises(GenieGymError):
        Checkpoint.load(name)


def test_a_name_of_nothing(tmp_path, monkeypatch):
    for call in (resolve_game, resolve_checkpoint, resolve_dataset, Checkpoint.from_pretrained):
        with pytest.raises(GameError, match="Did you mean Airstriker-Genesis"):
            call("Airstrikr")
    with pytest.raises(ConfigError, match="give a game"):
        resolve_checkpoint(None)
    with pytest.raises(CheckpointError, match=r"no weights of Toy-Numpy in .*genie-gym train Toy-Numpy"):
        resolve_checkpoint("Toy")
    monkeypatch.chdir(tmp_path)
    Path("Airstrikr").mkdir()
    with pytest.raises(CheckpointError, match="is not a checkpoint: it has no config"):
        load_checkpoint("Airstrikr")


def test_datasets(tmp_path):
    record(paths.data_dir("Toy-Numpy"), 1, 10)
    record(tmp_path, 2, 10)
    assert [len(resolve_dataset("Toy")), len(resolve_dataset("toy", tmp_path))] == [1, 2]
    assert isinstance(resolve_dataset("Toy"), data.EpisodeDataset)
    with pytest.raises(ConfigError, match="holds episodes of Toy-Numpy, not of Airstriker-Genesis"):
        resolve_dataset("Airstriker", tmp_path)
    with pytest.raises(DataError, match=str(paths.data_dir(AIRSTRIKER))):
        resolve_dataset(AIRSTRIKER)


def test_agents(tmp_path):
    paths.agents_dir("Toy-Numpy").joinpath("mine").mkdir(parents=True)
    assert resolve_agent("Toy-Numpy", "mine") == paths.agents_dir("Toy-Numpy") / "mine"
    assert resolve_agent("Toy-Numpy", tmp_path / "agent.safetensors") == tmp_path / "agent.safetensors"


def test_a_new_fit_into_the_same_folder_is_a_new_model(tmp_path):
    untrained().save(tmp_path)
    before = load_checkpoint(tmp_path).model
    assert load_checkpoint(str(tmp_path)).model is before
    untrained(seed=5).save(tmp_path)
    assert load_checkpoint(tmp_path).model is not before
