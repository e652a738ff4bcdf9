"""A window on a dream opens, moves under the keys and closes; without a screen the answer is one line."""

import threading

import pytest

from genie_gym.envs import WorldModelEnv
from genie_gym.envs.play import play
from genie_gym.errors import ConfigError

pygame = pytest.importorskip("pygame", reason="needs pygame: pip install genie_gym[play]")


def test_window_follows_the_keys_until_escape(toy_checkpoint, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    taken = []
    step = WorldModelEnv.step

    def noted(self, action):
        taken.append(int(action))
        if len(taken) == 3:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_RIGHT))
        if len(taken) == 6:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))
        return step(self, action)

    monkeypatch.setattr(WorldModelEnv, "step", noted)
    rescue = threading.Timer(60, lambda: pygame.event.post(pygame.event.Event(pygame.QUIT)))
    rescue.start()
    play(toy_checkpoint, seed=0)
    rescue.cancel()
    assert taken == [0, 0, 0, 1, 1, 1]  # NOOP until RIGHT is held


def test_no_screen(toy_checkpoint, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=r"cannot open a window .* a machine with a screen"):
        play(toy_checkpoint)


def test_a_window_that_nobody_would_see_is_not_opened(toy_checkpoint, monkeypatch):
    """SDL draws off the screen where there is none, and would play for ever."""
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    pygame.display.quit()
    with pytest.raises(ConfigError, match=r"no screen|cannot open a window"):
        play(toy_checkpoint)


def test_zoom(toy_checkpoint):
    with pytest.raises(ConfigError, match="zoom must be more than 0, got -1"):
        play(toy_checkpoint, zoom=-1)
