"""The list of games matches stable-retro, and games are found by every usual spelling."""

import subprocess
import sys

import pytest

from genie_gym import games
from genie_gym.errors import GameError

OTHERS = {"Ale", "Procgen", "Numpy"}


def test_the_list_is_stable_retros():
    retro = pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    theirs = {name.removesuffix("-v0") for name in retro.data.list_games(retro.data.Integrations.STABLE)}
    ours = {name for name in games.names() if games.find(name).system not in OTHERS}
    assert ours == theirs
    assert len(games.names()) == len(theirs) + 104 + 16 + 1


def test_every_button_exists_on_its_console():
    retro = pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")
    for spec in map(games.find, games.names()):
        if spec.system in OTHERS:
            continue
        core = "FBNeo" if spec.system == "Arcade" else spec.system
        buttons = retro.get_system_info(core)["buttons"]
        assert all(button in buttons for action in spec.actions for button in action.buttons), spec


@pytest.mark.parametrize(
    "typed",
    ["Airstriker-Genesis", "Airstriker-Genesis-v0", "Airstriker", "airSTRIKER", "airstriker-genesis", "Airstriker-v0"],
)
def test_ways_to_name_a_game(typed):
    assert games.find(typed).name == "Airstriker-Genesis"


def test_short_titles_are_unique_and_lead_to_their_game():
    titles = games.short_titles()
    assert titles["SuperMarioBros"] == "SuperMarioBros-Nes"
    assert "MsPacMan" not in titles and "MsPacman" not in titles  # four systems, two spellings
    assert all(games.find(title).name == name for title, name in titles.items())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("SuperMarioBro", "SuperMarioBros-Nes"), ("Kangroo", "Kangaroo-Atari2600"), ("coin run", "CoinRun-Procgen")],
)
def test_an_unknown_game_says_what_was_meant(typed, meant):
    with pytest.raises(GameError, match=f"Unknown game '{typed}'.*Did you mean.*{meant}"):
        games.find(typed)


def test_a_name_like_no_other_still_says_how_to_see_them_all():
    with pytest.raises(GameError, match="`genie-gym games` lists all"):
        games.find("?")


def test_a_title_on_several_systems_asks_which():
    with pytest.raises(GameError, match="Asterix-Atari2600, Asterix-"):
        games.find("Asterix")


def test_looking_up_a_game_imports_nothing_heavy():
    code = "import sys, genie_gym.games as g; g.find('SuperMarioBros'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported = set(done.stdout.split())
    assert "genie_gym.games" in imported
    assert not imported & {"torch", "stable_retro", "procgen", "gym", "stable_baselines3", "ale_py"}


def test_platformers_of_the_nes_jump_to_the_side_and_run():
    paper = ["NOOP", "RIGHT", "LEFT", "UP", "DOWN", "PRIMARY"]
    for title in ("SuperMarioBros", "SuperMarioBros3", "KirbysAdventure", "MegaMan2-Nes", "Castlevania-Nes"):
        actions = {action.meaning: set(action.buttons) for action in games.find(title).actions}
        assert list(actions)[:6] == paper and len(actions) == 11
        assert actions["RIGHT+PRIMARY"] == {"RIGHT", "A"} and actions["LEFT+PRIMARY"] == {"LEFT", "A"}
        assert actions["RIGHT+SECONDARY"] == {"RIGHT", "B"}
        assert actions["RIGHT+PRIMARY+SECONDARY"] == {"RIGHT", "A", "B"}
    assert games.find("Gradius-Nes").meanings == paper
    listed = [name for name in games.names() if name.endswith("-Nes") and len(games.find(name).actions) == 11]
    assert len(listed) == 48  # each name of the list is a game
