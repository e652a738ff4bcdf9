"""A small seeded platform game in numpy: run right over pits and spikes, and jump for coins.

It needs no ROM, takes microseconds per step, and has what a world model must learn: effects of actions, a scrolling
view, and memory, because the sprite's speed cannot be seen in a single image.
"""

from copy import copy
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import InvalidActionError
from genie_gym.games.spec import Action, GameSpec
from genie_gym.utils.validation import check_reset_seed, short

__all__ = ["TOY", "ToyGame"]

TOY = GameSpec(
    name="Toy-Numpy",
    title="Toy",
    system="Numpy",
    actions=(
        Action("NOOP"),
        Action("RIGHT", keys=("right",)),
        Action("LEFT", keys=("left",)),
        Action("JUMP", keys=("z",)),
    ),
    frame_skip=1,
    noop_max=0,  # every seed gives another level
)
NOOP, RIGHT, LEFT, JUMP = range(4)

VIEW = 64  # side of the image, in pixels like all lengths below
TILE = 8
COLUMNS = 160  # length of a level, in tiles
GROUND = 48  # y of the ground's surface; y grows downwards
WIDTH, HEIGHT = 6, 8  # of the sprite
COIN = 4
MARGIN = 20  # distance from the left edge of the view to the sprite

STATE = ("_pits", "_spikes", "_coins", "_level", "_opaque", "_x", "_y", "_speed", "_rise", "_facing")  # of a savestate

# A jump rises 18 px and lasts 20 steps, 36 px at full speed: enough for a pit (16 px) or a spike (8 px).
ACCELERATION, FRICTION, TOP_SPEED = 0.45, 0.8, 1.8
GRAVITY, TAKE_OFF = 0.36, -3.6

SKY, HILL, EARTH, GRASS = (92, 148, 252), (60, 110, 200), (150, 82, 28), (40, 170, 60)
SPIKE, GOLD, BODY, EYE = (210, 40, 40), (255, 220, 40), (250, 250, 250), (20, 20, 60)


class ToyGame(gym.Env[np.ndarray, np.int64]):
    """The toy game: observations uint8 (64, 64, 3) RGB, actions NOOP, RIGHT, LEFT, JUMP.

    A coin gives a reward of 1. The episode terminates on a spike, in a pit, or at the end of the level.

    >>> game = ToyGame()
    >>> image, _ = game.reset(seed=0)
    >>> image.shape, game.step(RIGHT)[1:4]
    ((64, 64, 3), (0.0, False, False))
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": TOY.fps}

    def __init__(self, render_mode: str | None = "rgb_array"):
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(0, 255, (VIEW, VIEW, 3), np.uint8)
        self.action_space = gym.spaces.Discrete(len(TOY.actions))
        self._started = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Draw a new level from the seed and put the sprite at its left end."""
        super().reset(seed=check_reset_seed(seed))
        self._started = True
        self._pits, self._spikes, self._coins = _draw_level(self.np_random)
        self._draw_map()
        self._x, self._y = 2.0 * TILE, float(GROUND - HEIGHT)  # the sprite's upper left corner
        self._speed, self._rise, self._facing = 0.0, 0.0, 1
        return self._render(), self._info()

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Take one step: move, collect coins, check for dangers.

        Raises:
            InvalidActionError: The action is not an integer from 0 to 3.
            ResetNeeded: The game was not reset.
        """
        if isinstance(action, bool) or not self.action_space.contains(action):
            raise InvalidActionError(f"the toy game takes an action from 0 to 3; got {short(action)}")
        self._check_started()
        self._move(int(action))
        reward = self._collect()
        terminated = self._on_spike() or self._y >= VIEW or self._x >= (COLUMNS - 2) * TILE
        return self._render(), reward, terminated, False, self._info()

    def render(self) -> np.ndarray | None:
        """Return the current image, uint8 (64, 64, 3)."""
        self._check_started()
        return self._render() if self.render_mode == "rgb_array" else None

    def snapshot(self) -> dict[str, Any]:
        """Return the state of the game, from which `restore` goes on."""
        self._check_started()
        return {name: copy(getattr(self, name)) for name in STATE}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a state that `snapshot` returned: the same actions lead to the same frames."""
        self._started = True
        for name in STATE:
            setattr(self, name, copy(snapshot[name]))

    def _info(self) -> dict[str, int]:
        return {"x": int(self._x), "y": int(self._y)}  # in pixels of the level

    def _check_started(self) -> None:
        if not self._started:
            raise gym.error.ResetNeeded("call reset() first")

    def _move(self, action: int) -> None:
        push = (action == RIGHT) - (action == LEFT)
        if push:
            self._facing = push
            self._speed = float(np.clip(self._speed + ACCELERATION * push, -TOP_SPEED, TOP_SPEED))
        elif self._standing():  # no friction in the air, so that a running jump crosses a pit
            self._speed *= FRICTION
        if action == JUMP and self._standing():
            self._rise = TAKE_OFF
        self._x = max(self._x + self._speed, 0.0)
        above = self._y <= GROUND - HEIGHT
        self._rise += GRAVITY
        self._y += self._rise
        if above and self._y >= GROUND - HEIGHT and self._over_ground():
            self._y, self._rise = float(GROUND - HEIGHT), 0.0

    def _over_ground(self) -> bool:
        left, right = int(self._x) // TILE, (int(self._x) + WIDTH - 1) // TILE
        return not (self._pits[left] and self._pits[right])

    def _standing(self) -> bool:
        return self._y == GROUND - HEIGHT and self._over_ground()

    def _collect(self) -> float:
        """Remove the coins that the sprite touches from the level, and return their number."""
        reach = np.abs(self._coins - (self._x + WIDTH / 2, self._y + HEIGHT / 2))
        touched = (reach[:, 0] < (WIDTH + COIN) / 2) & (reach[:, 1] < (HEIGHT + COIN) / 2)
        if not touched.any():
            return 0.0
        for x, y in self._coins[touched]:
            self._opaque[y - COIN // 2 : y + COIN // 2, x - COIN // 2 : x + COIN // 2] = False
        self._coins = self._coins[~touched]
        return float(touched.sum())

    def _on_spike(self) -> bool:
        left, right = int(self._x) // TILE, (int(self._x) + WIDTH - 1) // TILE
        return bool(self._y + HEIGHT > GROUND - TILE + 2 and (self._spikes[left] or self._spikes[right]))

    def _draw_map(self) -> None:
        """Draw an image of the whole level, and a mask of its pixels that cover the hills behind."""
        columns = np.arange(COLUMNS * TILE)
        self._level = np.empty((VIEW, COLUMNS * TILE, 3), np.uint8)
        self._level[:GROUND] = SPIKE
        self._level[GROUND:] = EARTH
        self._level[GROUND : GROUND + 3] = GRASS
        self._opaque = np.zeros(self._level.shape[:2], bool)
        self._opaque[GROUND:] = ~self._pits[columns // TILE]
        slope = 2 * np.abs(columns % TILE - (TILE - 1) / 2)  # a spike is a triangle
        heights = np.arange(GROUND - TILE, GROUND)[:, None] - (GROUND - TILE)
        self._opaque[GROUND - TILE : GROUND] = self._spikes[columns // TILE] & (heights >= slope)
        for x, y in self._coins:
            patch = np.s_[y - COIN // 2 : y + COIN // 2, x - COIN // 2 : x + COIN // 2]
            self._level[patch], self._opaque[patch] = GOLD, True

    def _render(self) -> np.ndarray:
        """Return uint8 (64, 64, 3): hills that scroll at half speed, the level in front of them, then the sprite."""
        view = int(np.clip(self._x - MARGIN, 0, COLUMNS * TILE - VIEW))
        part = np.s_[:, view : view + VIEW]
        image = np.where(self._opaque[part][..., None], self._level[part], _HILLS[:, view // 2 : view // 2 + VIEW])
        x, y = int(self._x) - view, int(self._y)
        image[max(y, 0) : y + HEIGHT, x : x + WIDTH] = BODY
        eye = x + WIDTH - 2 if self._facing > 0 else x
        image[max(y + 2, 0) : max(y + 4, 0), eye : eye + 2] = EYE
        return image


def _draw_level(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pits and spikes, bool (COLUMNS,), and centres of coins, int (n, 2), as x and y in pixels."""
    pits, spikes = np.zeros(COLUMNS, bool), np.zeros(COLUMNS, bool)
    coins = []
    column = 7
    while column < COLUMNS - 8:
        if rng.random() < 0.5:
            pits[column : column + 2] = True
        else:
            spikes[column] = True
        coins.append((column * TILE + TILE // 2, GROUND - int(rng.integers(16, 23))))  # above the danger
        coins.append(((column + 3) * TILE + TILE // 2, GROUND - 5))  # on the ground behind it
        column += int(rng.integers(6, 10))
    return pits, spikes, np.array(coins)


def _draw_hills() -> np.ndarray:
    """Return uint8 (64, COLUMNS * TILE, 3): sky and a line of hills that does not repeat within a level."""
    x, y = np.arange(COLUMNS * TILE), np.arange(VIEW)[:, None]
    skyline = 30 + 7 * np.sin(x / 11) + 5 * np.sin(x / 4.7 + 1)
    return np.where((y > skyline)[..., None], HILL, SKY).astype(np.uint8)


_HILLS = _draw_hills()
