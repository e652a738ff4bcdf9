"""ROMs are recognised by content in files, folders and archives."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import GameError, MissingExtraError
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
