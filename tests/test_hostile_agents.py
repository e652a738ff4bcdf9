"""Whatever a stranger calls an agent: no command runs anything in it, and each says in one line what is wrong."""

from pathlib import Path

import cloudpickle
import pytest

pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")

from genie_gym.cli.main import main
from genie_gym.sb3 import ExplorerConfig, make_explorer, make_game_vec_env
from tests.fuzz import Bomb
from tests.toy_play import record

SMALL = ["--max-steps", "12", "--num-envs", "1"]


def hostile_zip(mark: Path, path: Path) -> None:
    """An agent as Stable-Baselines3 saves it, with a bomb where it unpickles."""
    sizes = ExplorerConfig(n_steps=8, batch_size=8, lstm_hidden_size=8)
    agent = make_explorer(make_game_vec_env("Toy-Numpy", 1), sizes, device="cpu")
    agent.policy_kwargs = agent.policy_kwargs | {"bomb": Bomb(mark)}
    agent.save(path)


@pytest.fixture(params=["zip", "zip under our name", "pickle under our name"])
def stranger(request, tmp_path) -> tuple[Path, Path]:
    """The folder of a stranger's agent, and what appears if it is run."""
    folder, mark = tmp_path / "stranger", tmp_path / "executed"
    folder.mkdir()
    name = "agent.zip" if request.param == "zip" else "agent.safetensors"
    if request.param.startswith("pickle"):
        (folder / name).write_bytes(cloudpickle.dumps(Bomb(mark)))
    else:
        hostile_zip(mark, folder / "agent.zip")
        (folder / "agent.zip").rename(folder / name)
    return folder, mark


def refused(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("genie-gym: ") and "agent" in line


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_collecting(stranger, whole, capsys):
    folder, mark = stranger
    place = folder if whole else next(folder.iterdir())
    refused(["collect", "Toy", "--policy", str(place), "--episodes", "1", "--workers", "1"], capsys)
    assert not mark.exists()


def test_collecting_by_the_name_of_a_folder_here(stranger, monkeypatch, capsys):
    folder, mark = stranger
    monkeypatch.chdir(folder.parent)
    refused(["collect", "Toy", "--policy", folder.name, "--episodes", "1", "--workers", "1"], capsys)
    assert not mark.exists()


def test_exploring(stranger, capsys):
    folder, mark = stranger
    refused(["explore", "Toy", "--reward", "none", "--out", str(folder), "--steps", "8", *SMALL], capsys)
    other = ["--out", str(folder.parent / "other")]
    refused(["explore", "Toy", "--reward", "none", "--init-from", str(folder), *other, "--steps", "8", *SMALL], capsys)
    assert not mark.exists()


def test_refitting(stranger, exploring_checkpoint, capsys):
    folder, mark = stranger
    run, data = folder.parent / "run", record(folder.parent / "data", 4, 40)
    (run / "round-1").mkdir(parents=True)
    folder.rename(run / "round-1" / "explorer")
    more = ["--checkpoint", exploring_checkpoint, "--data", str(data), "--explore-steps", "8", "--frames", "40"]
    refused(["refit", "Toy", "--run", str(run), *more, *SMALL], capsys)
    assert not mark.exists()
