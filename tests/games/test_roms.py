"""ROMs are recognised by content in files, folders and archives."""

import copy
import hashlib
import importlib.util
import io
import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import DataError, GameError, MissingExtraError
from genie_gym.games import roms
from genie_gym.utils import paths

retro = pytest.importorskip("stable_retro", reason="needs stable-retro: pip install genie_gym[retro]")

KANGAROO = "Kangaroo-Atari2600"


def test_a_rom_is_known_by_its_content_not_its_name(ale_rom, tmp_path):
    shutil.copy(ale_rom, tmp_path / "holiday photo.bin")
    report = roms.import_roms([tmp_path])
    assert report.imported == [KANGAROO] and games.available("Kangaroo")
    kept = paths.roms_dir() / f"{KANGAROO}-v0" / "rom.a26"
    assert kept.read_bytes() == ale_rom.read_bytes()
    assert list(paths.roms_dir().rglob("*.*")) == [kept]


def test_archives_and_folders_are_searched_to_the_bottom(ale_rom, tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "inner.zip", "w", zipfile.ZIP_DEFLATED) as inner:
        inner.write(ale_rom, "games/k.bin")
    with zipfile.ZipFile(deep / "outer.zip", "w") as outer:
        outer.write(tmp_path / "inner.zip", "inner.zip")
    (tmp_path / "inner.zip").unlink()
    assert roms.import_roms([str(tmp_path)]).imported == [KANGAROO]


def test_what_is_not_imported_is_reported(ale_rom, tmp_path):
    shutil.copy(ale_rom, tmp_path / "a.bin")
    shutil.copy(ale_rom, tmp_path / "b.bin")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    report = roms.import_roms([tmp_path])
    assert report.imported == [KANGAROO]
    assert report.duplicates == [(tmp_path / "b.bin", KANGAROO)]
    assert report.unknown == [tmp_path / "notes.txt", tmp_path / "torn.zip"]
    assert roms.import_roms([tmp_path]).imported == []


@pytest.fixture
def dump(monkeypatch) -> bytes:
    """Return 64 KiB registered as Super Mario World, and with a NES header as Super Mario Bros. 3."""
    content = np.random.default_rng(0).bytes(2**16)
    snes, nes = (hashlib.sha1(body).hexdigest() for body in (content, content[::-1]))
    known = {snes: ("SuperMarioWorld-Snes-v0", ".sfc", ""), nes: ("SuperMarioBros3-Nes-v0", ".nes", "")}
    monkeypatch.setattr(retro.data, "get_known_hashes", lambda: known)
    return content


@pytest.mark.parametrize("name", ["world.smc", "world.sfc", "world.bin"])
@pytest.mark.parametrize("header", [b"", bytes(512), b"\x08" * 512], ids=["bare", "blank", "copier"])
def test_a_copiers_header_is_dropped(dump, tmp_path, name, header):
    (tmp_path / name).write_bytes(header + dump)
    assert roms.import_roms([tmp_path / name]).imported == ["SuperMarioWorld-Snes"]
    assert (paths.roms_dir() / "SuperMarioWorld-Snes-v0" / "rom.sfc").read_bytes() == dump


@pytest.mark.parametrize("name", ["bros.nes", "bros.NES", "bros.bin", "bros"])
def test_a_nes_header_is_no_part_of_the_hash_but_of_the_file(dump, tmp_path, name):
    content = b"NES\x1a\x02\x01\x01" + bytes(9) + dump[::-1]
    (tmp_path / name).write_bytes(content)
    assert roms.import_roms([tmp_path / name]).imported == ["SuperMarioBros3-Nes"]
    assert (paths.roms_dir() / "SuperMarioBros3-Nes-v0" / "rom.nes").read_bytes() == content


@pytest.mark.parametrize("header", [256, 511, 1024])
def test_other_bytes_in_front_make_another_rom(dump, tmp_path, header):
    (tmp_path / "world.smc").write_bytes(bytes(header) + dump)
    assert roms.import_roms([tmp_path]).unknown == [tmp_path / "world.smc"]


def test_files_larger_than_any_rom_are_not_read(ale_rom, tmp_path):
    with (tmp_path / "film.bin").open("wb") as film:
        film.truncate(2**40)  # a sparse file, larger than any memory
    shutil.copy(ale_rom, tmp_path)
    report = roms.import_roms([tmp_path])
    assert (report.imported, report.unknown) == ([KANGAROO], [tmp_path / "film.bin"])


def test_what_never_ends_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.nes")
    (tmp_path / "round.nes").symlink_to("round.nes")
    (tmp_path / "zero.nes").symlink_to("/dev/zero")
    (tmp_path / "up").symlink_to(tmp_path)
    start = time.monotonic()
    for source in (tmp_path / "pipe.nes", tmp_path / "zero.nes", Path("/dev/zero")):
        with pytest.raises(DataError, match="is a pipe or device, not a file"):
            roms.import_roms([source])
    with pytest.raises(GameError, match="No such file"):
        roms.import_roms([tmp_path / "round.nes"])
    assert roms.import_roms([tmp_path]).imported == []
    assert time.monotonic() - start < 5


def archive_in_archives(depth: int) -> bytes:
    content = b"no rom"
    for _ in range(depth):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("deeper.zip", content)
        content = file.getvalue()
    return content


def test_archives_made_to_harm_cost_little(tmp_path):
    """One of a thousand zeros' files, which share what is stored of the first, and one of archives in archives."""
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("first", bytes(2**25 - 1))
        first = archive.getinfo("first")
        for index in range(1000):
            again = copy.copy(first)
            again.filename = again.orig_filename = f"{index}"
            archive.filelist.append(again)
    (tmp_path / "deep.zip").write_bytes(archive_in_archives(30))
    start = time.monotonic()
    report = roms.import_roms([tmp_path])
    assert report.unknown == [tmp_path / "bomb.zip", tmp_path / "deep.zip"]
    assert time.monotonic() - start < 10


def test_a_bundled_rom_counts_as_there():
    bundled = Path(retro.data.get_romfile_path("Airstriker-Genesis-v0"))
    assert roms.import_roms([bundled]).duplicates == [(bundled, "Airstriker-Genesis")]


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(GameError, match="No such file or folder"):
        roms.import_roms([tmp_path / "nowhere"])


def test_a_folder_that_cannot_be_written_is_an_error(ale_rom, home):
    home.mkdir()
    (home / "roms").write_text("in the way")
    with pytest.raises(GameError, match=f"Cannot write {KANGAROO} to .*GENIE_GYM_HOME"):
        roms.import_roms([ale_rom])


def test_ale_roms_without_ale_name_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ale_py.roms", None)
    with pytest.raises(MissingExtraError, match=r"pip install genie_gym\[atari\]"):
        roms.import_ale_roms()


def test_nes_roms_without_their_package_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps gym-super-mario-bros"):
        roms.import_nes_roms()


@pytest.mark.retro
def test_super_mario_bros_comes_with_its_package_and_runs_as_stable_retro_knows_it(make):
    if importlib.util.find_spec("gym_super_mario_bros") is None:
        pytest.skip("needs the ROM: pip install --no-deps gym-super-mario-bros")
    assert "SuperMarioBros-Nes" in roms.import_nes_roms().imported
    env = make("SuperMarioBros", random_start=False)
    _, info = env.reset(seed=0)
    assert info["state"] == "Level1-1"
    right = env.game.meanings.index("RIGHT+SECONDARY")
    for _ in range(20):
        _, _, _, _, info = env.step(right)
    assert info["lives"] == 2 and info["xscrollLo"] > 30  # the variables stand where stable-retro looks for them
    states = set(env.source.states)
    assert {"Level1-1", "Level4-1", "Level8-1"} <= states and len(states) == 12
    for state in states:
        image, _ = env.reset(options={"state": state})
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 3, state


@pytest.mark.retro
def test_super_mario_bros_3_runs_as_stable_retro_knows_it(make):
    package = importlib.util.find_spec("gym_super_mario_bros")
    if package is None or not list(Path(package.submodule_search_locations[0]).rglob("super-mario-bros-3.nes")):
        pytest.skip(
            "needs the ROM: pip install --no-deps 'gym-super-mario-bros>=9.1', or its wheel unpacked in PYTHONPATH"
        )
    imported = roms.import_nes_roms().imported
    assert imported == ["SuperMarioBros3-Nes", "SuperMarioBros-Nes"]  # no dump whose savestates do not load
    env = make("SuperMarioBros3", random_start=False)
    known = {  # score and lives as the pictures show them
        "1Player.World1.Castle": (7821, 0),
        "1Player.World1.Fortress": (2970, 6),
        "1Player.World1.FortressBoss": (3270, 3),
        "1Player.World1.Level1": (0, 4),
        "1Player.World1.Level1.HammerBros": (4910, 3),
        "1Player.World1.Level3": (3324, 3),
    }
    assert set(env.source.states) == known.keys()
    right, idle = env.game.meanings.index("RIGHT"), env.game.meanings.index("NOOP")
    for state, (score, lives) in known.items():
        image, info = env.reset(seed=0, options={"state": state, "noops": 0})
        assert info["state"] == state and len(np.unique(image.reshape(-1, 3), axis=0)) > 3, state
        _, _, _, _, info = env.step(idle)
        assert (info["score"], info["lives"]) == (score, lives), state
    env.reset(options={"state": "1Player.World1.Level1", "noops": 0})
    places = [env.step(right)[-1]["hpos"] for _ in range(20)]
    assert places == sorted(places) and places[-1] > places[0] + 60  # Mario runs to the right


@pytest.mark.retro
def test_kangaroo_comes_with_ale_and_runs(ale_rom, make):
    report = roms.import_ale_roms()
    assert len(report.imported) >= 32
    _runs(make(KANGAROO))


@pytest.mark.retro
@pytest.mark.slow
def test_all_ale_games_run(ale_rom):
    imported = roms.import_ale_roms().imported
    assert len(imported) == 32
    for name in imported:
        env = games.make(name)
        _runs(env)
        env.close()


def _runs(env):
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    seen = {observation.tobytes()}
    for _ in range(100):
        observation, _, terminated, *_ = env.step(rng.integers(env.action_space.n))
        seen.add(observation.tobytes())
        if terminated:
            env.reset()
    assert len(seen) > 3, f"{env.game.name} shows a still image"
