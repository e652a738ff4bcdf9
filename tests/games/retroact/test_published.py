"""Published files are fetched once, checked, and never replaced by others."""

import hashlib
from dataclasses import replace

import pytest

from genie_gym.errors import GameError
from genie_gym.games import retroact
from genie_gym.games.retroact.published import PLATFORMERS_50, TABLE
from tests.games.retroact.test_game_set import LIST
from tests.games.retroact.test_table import PUBLISHED

CONTENT = b"game,view\n"


@pytest.fixture
def source(tmp_path):
    """A file at an address of this machine."""
    file = tmp_path / "published.csv"
    file.write_bytes(CONTENT)
    return replace(TABLE, url=file.as_uri(), sha256=hashlib.sha256(CONTENT).hexdigest()), file


def test_a_file_is_fetched_once(source, home):
    published, file = source
    assert retroact.find_file() is None
    assert published.fetch() == retroact.find_file() == home / "retroact.csv"
    assert (home / "retroact.csv").read_bytes() == CONTENT
    file.unlink()
    assert published.fetch().read_bytes() == CONTENT  # it is there already


def test_another_content_is_refused_and_nothing_written(source, home):
    published, file = source
    file.write_bytes(b"other")
    with pytest.raises(GameError, match=hashlib.sha256(b"other").hexdigest()):
        published.fetch()
    assert not (home / "retroact.csv").exists()


def test_without_a_network_one_is_told_what_to_do(source):
    published, file = source
    file.unlink()
    with pytest.raises(GameError, match="--file"):
        published.fetch()


@pytest.mark.parametrize("published", [TABLE, PLATFORMERS_50], ids=lambda one: one.name)
def test_the_checksums_are_those_of_the_published_files(published):
    file = PUBLISHED if published is TABLE else PUBLISHED.with_name(LIST)
    if not file.is_file():
        pytest.skip("RetroAct's files are not here")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == published.sha256
    assert published.url.endswith(file.name)
