"""What a user can get wrong is answered in one line that names the thing and says what to do: no traceback."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import genie_gym  # noqa: F401  (registers the ids)
from genie_gym import games
from genie_gym.cli import main
from genie_gym.data import Episode, EpisodeWriter
from genie_gym.errors import GenieGymError, InvalidActionError, PromptError
from genie_gym.utils import paths
from tests.checkpoint_files import part

COLLECT = ["--episodes", "2", "--max-steps", "40", "--workers", "1"]


def complaint(capsys, *command: str) -> str:
    """The one line that a failing command leaves on stderr."""
    capsys.readouterr()
    assert main(list(command)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_missing_rom(capsys):
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    line = complaint(capsys, "collect", "SuperMarioBros-Nes", *COLLECT)
    assert "No ROM of SuperMarioBros-Nes" in line and "genie-gym roms import PATH" in line
    assert "roms import --ale" in complaint(capsys, "collect", "Kangaroo", *COLLECT)


def test_no_rom_among_the_files(capsys, tmp_path):
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    (tmp_path / "holiday.nes").write_bytes(b"no game")
    assert "none of 1 file(s) is a ROM" in complaint(capsys, "roms", "import", str(tmp_path))
    assert "No such file" in complaint(capsys, "roms", "import", str(tmp_path / "nothing"))
    assert "--ale" in complaint(capsys, "roms", "import")


@pytest.mark.parametrize(
    "command",
    ["collect", "train", "train-upscaler", "evaluate", "map-actions", "explore", "coverage", "demo", "inspect"],
)
def test_unknown_game(capsys, command):
    line = complaint(capsys, command, "Airstrikr")
    assert "Unknown game 'Airstrikr'" in line and "Did you mean Airstriker-Genesis" in line


def test_no_weights(capsys):
    for command in ("evaluate", "map-actions", "demo", "inspect", "train-upscaler"):
        line = complaint(capsys, command, "SuperMarioBros3-Nes")
        assert str(paths.weights_dir("SuperMarioBros3-Nes")) in line
        assert "genie-gym collect SuperMarioBros3-Nes && genie-gym train SuperMarioBros3-Nes" in line


def test_no_recording(capsys):
    for command in ("train", "coverage"):
        assert "genie-gym collect Toy-Numpy" in complaint(capsys, command, "Toy")


def test_truncated_shard(capsys):
    main(["collect", "Toy", *COLLECT])
    for shard in paths.data_dir("Toy-Numpy").glob("*.h5"):
        os.truncate(shard, shard.stat().st_size // 2)
    capsys.readouterr()
    assert main(["train", "Toy"]) == 2
    warning, line = capsys.readouterr().err.splitlines()
    assert "skipped a damaged or foreign shard" in warning and str(shard) in warning
    assert "no readable episode" in line and "genie-gym collect Toy-Numpy" in line


def damage_weights(folder: Path) -> str:
    os.truncate(part(folder, "model"), 1000)
    return "copy the checkpoint again"


def swap_weights(folder: Path) -> str:
    part(folder, "model").write_bytes(part(folder, "contexts").read_bytes())
    return "copy the checkpoint again, or train the game again"


def lose_weights(folder: Path) -> str:
    part(folder, "model").unlink()
    return "copy the checkpoint again"


def damage_config(folder: Path) -> str:
    os.truncate(folder / "config.json", 50)
    return "copy the checkpoint again"


def make_foreign(folder: Path) -> str:
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return "was not made by genie_gym"


def make_newer(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "version": 99}))
    return "pip install -U genie_gym"


def empty(folder: Path) -> str:
    (folder / "config.json").unlink()
    return "is not a checkpoint"


@pytest.mark.parametrize(
    "damage",
    [damage_weights, swap_weights, lose_weights, damage_config, make_foreign, make_newer, empty],
    ids=lambda f: f.__name__,
)
def test_corrupted_or_foreign_checkpoint(capsys, tmp_path, toy_checkpoint, damage):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in Path(toy_checkpoint).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    advice = damage(folder)
    line = complaint(capsys, "evaluate", str(folder))
    assert advice in line and str(folder) in line
    with pytest.raises(GenieGymError, match="copy") as error:
        gym.make("GenieRedux/Toy-v0", checkpoint=str(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("action", [4, -1, 1.5, "jump", np.array([0, 1]), None], ids=repr)
def test_wrong_action(toy_checkpoint, action):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError) as error:
        env.step(action)
    assert "\n" not in str(error.value) and ("0 NOOP, 1 RIGHT" in str(error.value) or "integer" in str(error.value))


@pytest.mark.parametrize(
    ("prompt", "advice"),
    [
        (np.zeros((64, 64), np.uint8), "one picture"),
        (np.zeros((64, 64, 4), np.uint8), "one picture"),
        (np.zeros((0, 64, 64, 3), np.uint8), "one picture"),
        (np.zeros((64, 64, 3), np.float32), "astype('uint8')"),
        (np.zeros((64, 64, 3), np.int64), "uint8"),
        ("mario.png", "one picture"),
        (None, "one picture"),
    ],
    ids=["grey", "alpha", "empty", "float", "int64", "file", "none"],
)
def test_wrong_prompt(toy_checkpoint, prompt, advice):
    env = gym.make("GenieRedux/Toy-v0", checkpoint=toy_checkpoint)
    with pytest.raises(PromptError) as error:
        env.reset(options={"prompt": prompt})
    assert advice in str(error.value) and "\n" not in str(error.value)


def limited(*command: str, bytes_a_file: int) -> subprocess.CompletedProcess:
    """A command in a process that can write no file above a size, which fails as a full disk does."""
    return subprocess.run(
        [sys.executable, "-m", "genie_gym", *command],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file)),
        capture_output=True,
        text=True,
    )


def test_full_disk_while_collecting():
    answer = limited("collect", "Toy", "--episodes", "1", "--workers", "1", bytes_a_file=20_000)
    assert answer.returncode == 2
    (line,) = answer.stderr.splitlines()
    assert "free some space" in line and str(paths.data_dir("Toy-Numpy")) in line


@pytest.mark.slow
def test_full_disk_while_fitting():
    main(["collect", "Toy", "--episodes", "2", "--max-steps", "60", "--workers", "1"])
    answer = limited("train", "Toy", "--minutes", "0.01", bytes_a_file=20_000)
    assert answer.returncode == 2
    (line,) = answer.stderr.splitlines()
    assert "free some space" in line  # after TensorBoard's file or the fit's own, whichever is full first


def test_full_disk_for_the_demos_pictures(capsys, tmp_path, toy_checkpoint):
    (tmp_path / "file").write_text("")
    line = complaint(capsys, "demo", "Toy", "--checkpoint", toy_checkpoint, "--out", str(tmp_path / "file" / "demo"))
    assert "cannot write" in line and "give another folder" in line


def test_a_demo_of_another_games_model(capsys, toy_checkpoint):
    line = complaint(capsys, "demo", "Airstriker", "--checkpoint", toy_checkpoint)
    assert f"{toy_checkpoint} is a model of Toy-Numpy, not of Airstriker-Genesis" in line


def test_a_header_that_lacks_what_it_should_hold(capsys, tmp_path):
    (tmp_path / "recording.json").write_text('{"format": "genie_gym.recording", "version": 1, "game": {}}')
    for command in (["train", "Toy", "--data"], ["coverage"], ["collect", "Toy", *COLLECT, "--out"]):
        assert "recording.json lacks actions, runs; restore it" in complaint(capsys, *command, str(tmp_path))


def test_nothing_to_inspect(capsys, tmp_path, toy_checkpoint):
    assert "clips must be 1 or more, got 0" in complaint(capsys, "inspect", toy_checkpoint, "--clips", "0")
    out = tmp_path / "out"
    line = complaint(capsys, "inspect", toy_checkpoint, "--data", str(tmp_path / "nowhere"), "--out", str(out))
    assert not out.exists()  # nothing is left of what failed
    assert str(tmp_path / "nowhere") in line and "genie-gym collect" in line
    (tmp_path / "file").write_text("")
    line = complaint(capsys, "inspect", toy_checkpoint, "--clips", "1", "--out", str(tmp_path / "file"))
    assert "cannot write" in line and "give another folder" in line


def test_no_weights_of_a_metrics_network(capsys, toy_checkpoint):
    main(["collect", "Toy", *COLLECT])
    line = complaint(capsys, "evaluate", toy_checkpoint, "--perceptual")
    assert "LPIPS needs" in line and f"curl -fL --create-dirs -o {paths.metrics_dir()}" in line


def test_no_network():
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    answer = subprocess.run(
        [sys.executable, "-m", "genie_gym", "evaluate", "nobody/nothing"],
        env={**os.environ, **nowhere, **{name.lower(): value for name, value in nowhere.items()}},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2
    said, line = answer.stderr.splitlines()
    assert "asking the Hugging Face hub" in said
    assert "'nobody/nothing'" in line and "check the spelling and the network" in line


def test_buttons_that_cannot_be_mapped(capsys, toy_checkpoint, tmp_path):
    main(["collect", "Toy", *COLLECT])
    line = complaint(capsys, "map-actions", toy_checkpoint)
    assert "Toy-Numpy was trained on real actions" in line
    line = complaint(capsys, "map-actions", toy_checkpoint, "--data", str(tmp_path / "no thing"))
    assert f"genie-gym collect GAME --out '{tmp_path / 'no thing'}'" in line
    assert "latent actions; say how many" in complaint(capsys, "train", "Toy", "--joint")


def test_options_out_of_range(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["collect", "Toy", "--stepps", "3"])
    assert ended.value.code == 2
    assert "unknown policy 'bold'; choose one of: random, sticky" in complaint(
        capsys, "collect", "Toy", "--episodes", "1", "--policy", "bold"
    )
    assert "choose one of tiny, tiny-transformer, small, paper" in complaint(capsys, "train", "Toy", "--preset", "huge")
    assert "choose one of tiny, small, paper" in complaint(capsys, "train-upscaler", "Airstriker", "--preset", "huge")
    for command in ("train", "train-upscaler", "evaluate", "explore", "demo", "inspect"):
        assert "threads must be 1 or more, got 0" in complaint(capsys, command, "Airstriker", "--threads", "0")


@pytest.mark.parametrize("name", ["My Game", "../escape", ""])
def test_a_name_that_is_no_name(capsys, tmp_path, name):
    line = complaint(capsys, "convert", str(tmp_path), "--game", name)
    assert "letters, digits, '_', '.' and '-' only" in line and f"try '{'MyGame' if name == 'My Game' else ''}" in line


@pytest.mark.parametrize("command", ["train", "evaluate", "inspect", "explore", "collect", "refit", "demo"])
def test_a_seed_that_no_generator_takes(capsys, toy_checkpoint, command):
    words = {"evaluate": [toy_checkpoint], "inspect": [toy_checkpoint], "collect": ["Toy", *COLLECT]}
    main(["collect", "Toy", *COLLECT])
    capsys.readouterr()
    for seed in ("-1", str(2**32), "9" * 23):
        line = complaint(capsys, command, *words.get(command, ["Toy"]), "--seed", seed)
        assert f"seed must be from 0 to 4294967295, got {seed}" in line


def test_play_of_another_game(capsys, toy_checkpoint, tmp_path):
    spec = dict(games.find("Toy").to_dict(), name="Kangaroo-Atari2600")  # its actions may well be the same
    header = {"game": spec, "actions": games.find("Toy").meanings}
    episode = Episode(np.zeros((20, 64, 64, 3), np.uint8), np.zeros(19, np.int64), np.zeros(19, np.float32))
    with EpisodeWriter(tmp_path / "other", header) as writer:
        writer.append(episode)
    main(["collect", "Toy", *COLLECT])
    pytest.importorskip("sb3_contrib", reason="refit needs sb3-contrib: pip install genie_gym[sb3]")
    refit = ("refit", "Toy", "--checkpoint", toy_checkpoint)
    commands = [(command, toy_checkpoint, "--data") for command in ("evaluate", "inspect", "map-actions")]
    for command in (*commands, (*refit, "--data"), (*refit, "--test")):
        line = complaint(capsys, *command, str(tmp_path / "other"))
        assert f"{tmp_path / 'other'} holds episodes of Kangaroo-Atari2600, not of Toy-Numpy" in line


def test_no_time_to_fit(capsys):
    main(["collect", "Toy", *COLLECT])
    for minutes in ("-1", "0", "nan"):
        line = complaint(capsys, "train", "Toy", "--minutes", minutes)
        assert f"minutes must be more than 0, got {float(minutes)}" in line


def test_a_path_that_cannot_be_read(capsys, tmp_path):
    long = tmp_path / ("long" * 100)
    assert "File name too long" in complaint(capsys, "evaluate", str(long))
    assert str(long) in complaint(capsys, "roms", "import", str(long))


def test_an_own_game_has_no_emulator(capsys):
    for command in ("collect", "explore"):
        line = complaint(capsys, command, "Clip-Own")
        assert "'Clip-Own' is a game of your own" in line and "`train`, `evaluate`, `inspect` and `play`" in line


def test_options_for_videos_alone(capsys, tmp_path):
    for option in ("--cuts", "--keep-bars"):
        assert "are for videos" in complaint(capsys, "convert", str(tmp_path), option)
