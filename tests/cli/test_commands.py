"""Each command does what its line says, on the toy game; a whole round needs no emulator."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.cli import main
from genie_gym.data import EpisodeDataset
from genie_gym.envs import WorldModelEnv
from genie_gym.models.upscaler import UpscalerConfig
from genie_gym.registration import register_games
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.presets import PRESETS
from genie_gym.training.upscaler import UPSCALER_PRESETS, UpscalerPreset
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.resolve import resolve_checkpoint
from tests.conftest import untrained
from tests.miniature import MINIATURE


def test_help_names_every_command_without_waiting_for_torch():
    script = "import sys; from genie_gym.cli import main; main(['--help'])"
    script = f"try:\n {script}\nfinally:\n print(sorted({{'torch', 'stable_baselines3'}} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    others = ("map-actions", "explore", "coverage", "refit", "demo", "inspect", "play")
    for command in (
        "roms",
        "games",
        "collect",
        "convert",
        "train",
        "train-upscaler",
        "train-termination",
        "evaluate",
        *others,
    ):
        assert command in answer.stdout
    assert answer.returncode == 0 and answer.stdout.splitlines()[-1] == "[]"


def test_games_lists_what_is_here(capsys):
    assert main(["games", "--system", "numpy", "--with-rom"]) == 0
    text = capsys.readouterr().out
    assert "Toy-Numpy" in text and "1 games" in text and text.count("yes") == 1
    main(["collect", "toy", "--episodes", "1", "--max-steps", "20", "--workers", "1"])
    capsys.readouterr()
    main(["games", "--system", "numpy"])
    assert capsys.readouterr().out.count("yes") == 2


def test_several_games_are_collected(capsys):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    options = ["--episodes", "2", "--max-steps", "20", "--workers", "1"]
    assert main(["collect", "--games", "toy", "Pong-Ale", *options]) == 0
    assert "Pong-Ale: 2 episodes" in capsys.readouterr().out
    assert len(EpisodeDataset(paths.data_dir("Toy-Numpy"))) == len(EpisodeDataset(paths.data_dir("Pong-Ale"))) == 2
    for wrong in (["collect"], ["collect", "toy", "--games", "toy"]):
        assert main([*wrong, *options]) == 2
        assert "either one game" in capsys.readouterr().err


def test_games_lists_all(capsys):
    main(["games"])
    assert f"{len(games.names())} games" in capsys.readouterr().out


def test_from_recording_to_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "miniature", MINIATURE)
    collect = ["collect", "toy", "--episodes", "4", "--max-steps", "60", "--workers", "1", "--policy", "sticky"]
    assert main(collect) == 0
    assert "4 episodes" in capsys.readouterr().out
    assert len(EpisodeDataset(paths.data_dir("Toy-Numpy"))) == 4

    assert main(["train", "Toy", "--preset", "miniature"]) == 0
    assert "genie-gym evaluate Toy-Numpy" in capsys.readouterr().out
    assert Checkpoint.load(paths.weights_dir("Toy-Numpy")).metadata.preset == "miniature"

    assert main(["evaluate", "Toy", "--clips", "3", "--long-steps", "6", "--out", str(tmp_path / "figures")]) == 0
    assert "delta-PSNR" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures" / "figures.json").read_text())
    assert figures["game"] == "Toy-Numpy" and figures["settings"]["clips"] == 3
    own = Checkpoint.load(paths.weights_dir("Toy-Numpy")).sampling
    assert figures["settings"]["sampling"] == vars(own)

    short = ["evaluate", "Toy", "--clips", "3", "--long-steps", "0", "--out", str(tmp_path / "other")]
    drawn = ["--sampling-steps", "3", "--temperature", "0.5", "--order", "confidence", "--min-p", "0.1"]
    assert main([*short, *drawn]) == 0
    other = json.loads((tmp_path / "other" / "figures.json").read_text())["settings"]["sampling"]
    assert [other[name] for name in ("steps", "temperature", "order", "min_p")] == [3, 0.5, "confidence", 0.1]
    capsys.readouterr()
    assert main([*short, "--order", "left to right"]) == 2
    assert "order must be one of confidence, random; got 'left to right'" in capsys.readouterr().err

    frames = ["refit", "Toy", "--policy-source", "random", "--frames", "60", "--max-steps", "25", "--workers", "1"]
    steps = ["--decoder-steps", "2", "--dynamics-steps", "2", "--clips", "3", "--out", str(tmp_path / "refitted")]
    assert main([*frames, *steps]) == 0
    text = capsys.readouterr().out
    run = paths.home() / "runs" / "Toy-Numpy-refit-random-0"
    assert "1, old" in text and f"report: {run / 'report.html'}" in text
    assert len(Checkpoint.load(tmp_path / "refitted").metadata.finetuning) == 1
    assert main([*frames, *steps, "--seed", "1", "--run", str(run)]) == 2
    assert "was started with seed 0, now asked for seed 1" in capsys.readouterr().err


def test_a_folder_named_as_a_picture_is_no_picture(tmp_path, capsys):
    (tmp_path / "0.png").mkdir()
    assert main(["convert", str(tmp_path)]) == 2
    assert "holds 0 image(s)" in capsys.readouterr().err


def test_no_frames_a_second(tmp_path, capsys):
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((8, 8, 3), np.uint8))
    assert main(["convert", str(tmp_path), "--fps", "0"]) == 2
    assert "fps" in capsys.readouterr().err


def test_from_explorer_to_coverage(tmp_path, capsys):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    folder = tmp_path / "agent"
    command = ["explore", "Toy", "--reward", "rnd", "--num-envs", "2", "--max-steps", "40", "--out", str(folder)]
    assert main([*command, "--steps", "256", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "256" in text and "visited cells" in text and f"--policy {folder}" in "".join(text.split("\n"))
    play = ["collect", "Toy", "--episodes", "2", "--max-steps", "20", "--workers", "1"]
    assert main([*play, "--policy", str(folder), "--epsilon", "0.5"]) == 0
    shutil.copytree(folder, paths.agents_dir("Toy-Numpy") / "mine")
    assert main([*play, "--policy", "mine"]) == 0
    assert main(play) == 0
    capsys.readouterr()
    assert main(["coverage", "Toy"]) == 0
    text = capsys.readouterr().out
    assert "random-0" in text and "agent-" in text and "mine-" in text and "unknown" not in text


def test_convert_makes_a_game_that_can_be_fitted(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PRESETS, "miniature", MINIATURE)
    rng = np.random.default_rng(0)
    for episode in ("one", "two"):
        folder = tmp_path / episode
        folder.mkdir()
        for i in range(24):
            cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (40, 60, 3), np.uint8))
        actions = tmp_path / f"{episode}.csv"
        actions.write_text("action\n" + "left\nright\n" * 12)
        words = ["convert", str(folder), str(actions), "--game", "Pinball", "--action-names", "left", "right", "tilt"]
        assert main(words) == 0
    text = capsys.readouterr().out
    assert "2 episodes, 48 frames" in text and "map-actions" not in text

    recording = EpisodeDataset(paths.data_dir("Pinball-Own"))
    assert recording.header["actions"] == ["left", "right", "tilt"]
    np.testing.assert_array_equal(recording[0].actions[:3], [0, 1, 0])

    assert main(["train", "Pinball", "--preset", "miniature"]) == 0  # with -Own or without
    assert Checkpoint.load(paths.weights_dir("Pinball-Own")).game["name"] == "Pinball-Own"
    (tmp_path / "Pinball").mkdir()  # hides nothing
    monkeypatch.chdir(tmp_path)
    assert resolve_checkpoint("Pinball") == resolve_checkpoint("Pinball-Own") == str(paths.weights_dir("Pinball-Own"))
    assert main(["games", "--system", "Own"]) == 0
    assert "Pinball-Own" in capsys.readouterr().out


def test_a_game_from_video_alone(tmp_path, capsys, monkeypatch):
    """Three commands with no word of an action; the videos are of an odd size and 30 frames a second."""
    monkeypatch.setitem(PRESETS, "miniature", MINIATURE)
    for seed, name in enumerate(("one", "two")):
        path, rng = tmp_path / f"{name}.mp4", np.random.default_rng(seed)
        video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (90, 62))
        for _ in range(48):
            video.write(rng.integers(0, 256, (62, 90, 3), np.uint8))
        video.release()
        assert main(["convert", str(path), "--game", "Clip"]) == 0
    assert "2 episodes, 48 frames" in capsys.readouterr().out
    assert main(["train", "Clip-Own", "--preset", "miniature"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "Clip-Own", "--clips", "2", "--long-steps", "0"]) == 0
    assert "latent and true" not in capsys.readouterr().out  # there is no truth

    register_games()  # what the next program's import does
    env = gym.make("GenieRedux/Clip-Own-v0")
    env.reset(seed=0)
    assert env.unwrapped.get_action_meanings() == [f"LATENT {i}" for i in range(8)]
    assert env.step(7)[0].shape == (64, 64, 3) and env.metadata["render_fps"] == 15

    (tmp_path / "pressed.csv").write_text("left\nright\njump\n" * 16)
    labelled = [
        "convert",
        str(tmp_path / "one.mp4"),
        str(tmp_path / "pressed.csv"),
        "--game",
        "Clip",
        "--out",
        str(tmp_path / "labelled"),
    ]
    assert main(labelled) == 0
    assert f"genie-gym map-actions Clip-Own --data {tmp_path / 'labelled'}" in capsys.readouterr().out
    assert main(["map-actions", "Clip-Own", "--data", str(tmp_path / "labelled")]) == 0
    text = capsys.readouterr().out
    assert "explained" in text and "genie-gym play Clip-Own" in text
    env = gym.make("GenieRedux/Clip-Own-v0", real_actions=True)
    assert env.unwrapped.get_action_meanings() == ["jump", "left", "right"]
    assert env.unwrapped.get_keys_to_action()[(1073741904,)] == 1  # the left arrow
    del gym.registry["GenieRedux/Clip-Own-v0"]


@pytest.mark.retro
def test_roms_import(tmp_path, capsys):
    roms = pytest.importorskip("ale_py.roms", reason="needs ale-py: pip install genie_gym[atari]")
    pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    from pathlib import Path

    rom = Path(roms.__file__).parent / "kangaroo.bin"
    assert main(["roms", "import", str(rom)]) == 0
    assert "1 imported: Kangaroo-Atari2600" in capsys.readouterr().out
    assert main(["roms", "import", str(rom)]) == 0
    assert "1 already there" in capsys.readouterr().out


def test_waiting_threads_spin_only_briefly_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert main(["games"]) == 0 and "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert main(["games"]) == 0 and os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    assert main(["games"]) == 0 and os.environ["GOMP_SPINCOUNT"] == "2000"


def test_interrupt_is_one_line(capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("genie_gym.games.listing.game_rows", interrupted)
    assert main(["games"]) == 130
    assert capsys.readouterr().err.splitlines() == ["genie-gym: interrupted"]


def test_inspect_writes_a_page_of_imagined_or_recorded_clips(tmp_path, capsys, toy_checkpoint):
    command = ["inspect", toy_checkpoint, "--clips", "2", "--out", str(tmp_path / "inside")]
    assert main(command) == 0
    assert "imagined rollouts" in capsys.readouterr().out
    main(["collect", "Toy", "--episodes", "4", "--max-steps", "60", "--workers", "1"])
    assert main(command) == 0
    figures = json.loads((tmp_path / "inside" / "figures.json").read_text())
    assert figures["dataset"] == str(paths.data_dir("Toy-Numpy")) and figures["clips"] == 2
    assert (tmp_path / "inside" / "report.html").is_file()


def test_from_large_frames_to_a_dream_drawn_by_the_upscaler(tmp_path, capsys, monkeypatch):
    sizes, recipe = UpscalerConfig(widths=(4, 8)), TrainerConfig(steps=2, batch_size=2)
    monkeypatch.setitem(UPSCALER_PRESETS, "miniature", UpscalerPreset(sizes, recipe, crop=16))
    untrained().save(paths.weights_dir("Toy-Numpy"))
    collect = ["collect", "Toy", "--episodes", "3", "--max-steps", "20", "--workers", "1"]
    assert main(collect) == 0
    fit = ["train-upscaler", "Toy", "--preset", "miniature"]
    capsys.readouterr()
    assert main(fit) == 2
    assert "record some with: genie-gym collect Toy-Numpy --high-res" in capsys.readouterr().err
    assert main([*collect, "--high-res"]) == 0
    assert main(fit) == 0
    text = capsys.readouterr().out
    assert "where bicubic enlarging has" in text and "genie-gym play Toy --upscale" in text
    assert WorldModelEnv("Toy", upscale=True).reset(seed=0)[0].shape == (256, 256, 3)
    played = []
    monkeypatch.setattr("genie_gym.envs.play.play", lambda config: played.append(config.upscale))
    assert main(["play", "Toy", "--upscale"]) == main(["play", "Toy"]) == 0
    assert played == [True, False]
