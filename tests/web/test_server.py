"""The command: what it refuses, and how it begins and ends."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")

from genie_gym.cli import main
from genie_gym.errors import ConfigError
from genie_gym.utils.paths import weights_dir
from genie_gym.web.config import ServeConfig
from genie_gym.web.worlds import find_worlds
from genie_gym.world_model.resolve import shipped_checkpoint
from tests.conftest import untrained, untrained_latent
from tests.web.visits import WAIT


@pytest.mark.parametrize(
    "options",
    [
        {"port": -1},
        {"port": 65_536},
        {"visitors": 0},
        {"visitors": 10**6},
        {"token": "short"},
        {"token": "with a space in it"},
        {"host": " "},
        {"threads": 0},
    ],
    ids=str,
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError):
        ServeConfig(**options)


@pytest.mark.parametrize("words", [["--host", "no.such.host.invalid"], ["--host", "203.0.113.7"], ["Nowhere"]])
def test_what_cannot_be_served_is_told_in_a_line(toy_checkpoint, words, capfd):
    worlds = [] if words == ["Nowhere"] else [toy_checkpoint]
    assert main(["serve", *worlds, "--port", "0", *words]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_port_in_use(toy_checkpoint, capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", toy_checkpoint, "--port", port]) == 2
    assert port in capfd.readouterr().err


@pytest.mark.slow
def test_it_says_where_it_is_and_ends_at_a_signal(toy_checkpoint):
    for number in (signal.SIGINT, signal.SIGTERM):
        words = [sys.executable, "-m", "genie_gym", "serve", toy_checkpoint, "--port", "0", "--device", "cpu"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as one:
            one.stdout.readline()
            address = one.stdout.readline().split()[2]
            with urllib.request.urlopen(address, timeout=WAIT) as page:
                assert b"<title>" in page.read()
            one.send_signal(number)
            assert one.wait(WAIT) == (0 if number == signal.SIGINT else -number)
            assert one.stderr.read() == ""


def test_worlds_of_this_machine_are_found_and_damaged_ones_left_out(home):
    untrained().save(weights_dir("Toy-Numpy"))
    (weights_dir("Broken-Own")).mkdir(parents=True)
    (weights_dir("Broken-Own") / "config.json").write_text("{}")
    with pytest.warns(UserWarning, match="Broken-Own"):
        worlds = find_worlds((), "cpu")
    shipped = {folder.name for folder in shipped_checkpoint("").iterdir() if (folder / "config.json").exists()}
    assert set(worlds) == shipped | {"Toy-Numpy"}
    assert worlds["Toy-Numpy"].real is not None


def test_two_models_of_a_game_have_names_of_their_own(toy_checkpoint, conv_checkpoint, tmp_path):
    untrained_latent().save(tmp_path)
    worlds = find_worlds([toy_checkpoint, conv_checkpoint, str(tmp_path)], "cpu")
    assert list(worlds) == ["Toy-Numpy", "Toy-Numpy-2", "Toy-Numpy-3"]
    latent = worlds["Toy-Numpy-3"]
    assert latent.real is None  # its actions are not the game's
    assert [["0"], 0] in latent.describe()["keys"]
