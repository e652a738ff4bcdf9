"""A world that goes on for ever, and a server of it."""

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> str:
    """The folder of an untrained world of the toy game whose episodes do not end."""
    from tests.web.visits import endless

    folder = tmp_path_factory.mktemp("world")
    endless().save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def served(world):
    """It is played at the game's own speed."""
    from tests.web.visits import serving

    with serving(world) as server:
        yield server
