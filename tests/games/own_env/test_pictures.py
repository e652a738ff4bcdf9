"""Pictures are found in observations or by rendering, and become uint8 RGB with channels last."""

import gymnasium as gym
import numpy as np
import pytest

from genie_gym import games
from genie_gym.errors import GameError
from genie_gym.games.own_env.pictures import choose_picture, to_rgb
from genie_gym.utils.images import letterbox


def box(*shape: int, dtype: type = np.uint8) -> gym.spaces.Box:
    return gym.spaces.Box(0, 255, shape, dtype)


class Seen(gym.Env):
    """An environment of one observation, and of one image that it renders."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, space: gym.Space, image: np.ndarray | None = None):
        self.observation_space, self.image = space, image
        self.render_mode = None if image is None else "rgb_array"
        space.seed(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = self.observation_space.sample()
        return self.seen, {}

    def step(self, action):
        self.seen = self.observation_space.sample()
        return self.seen, 0.0, False, False, {}

    def render(self):
        return self.image


RGB = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)


@pytest.mark.parametrize("image", [RGB, RGB.transpose(2, 0, 1), RGB[..., 0], RGB[..., :1], RGB[..., 0][None]])
def test_every_layout_becomes_rgb_with_channels_last(image):
    found = to_rgb(image)
    assert found.shape == (10, 12, 3) and found.dtype == np.uint8 and found.flags.c_contiguous
    for channel in range(3):
        grey = image.size == 120
        np.testing.assert_array_equal(found[..., channel], RGB[..., 0 if grey else channel])


@pytest.mark.parametrize("image", [RGB.astype(np.float32), RGB[0, 0], np.zeros((4, 10, 12), np.uint8), None])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(GameError, match="should be uint8, grey or RGB"):
        to_rgb(image)


STATE = box(4, dtype=np.float32)
TWO = gym.spaces.Dict({"front": box(20, 20, 3), "back": box(20, 20), "speed": STATE})


@pytest.mark.parametrize(
    ("env", "wanted", "where"),
    [
        (Seen(box(20, 30, 3)), None, "observation"),
        (Seen(box(20, 30, 3), RGB), None, "observation"),
        (Seen(box(20, 30, 3), RGB), "render", "render"),
        (Seen(STATE, RGB), None, "render"),
        (Seen(TWO, RGB), None, "render"),
        (Seen(TWO), "back", "back"),
        (Seen(gym.spaces.Dict({"speed": STATE, "front": box(3, 20, 20)})), None, "front"),
    ],
)
def test_where_the_picture_is(env, wanted, where):
    assert choose_picture(env, wanted) == where
    game = games.wrap(env, picture=wanted, random_start=False)
    for act in (lambda: game.reset(seed=0), lambda: game.step(1)):
        frame = act()[0]
        shown = RGB if where == "render" else env.seen if where == "observation" else env.seen[where]
        np.testing.assert_array_equal(frame, letterbox(to_rgb(shown)))


@pytest.mark.parametrize(
    ("env", "wanted", "advice"),
    [
        (Seen(STATE), None, "render_mode='rgb_array'"),
        (Seen(TWO), None, "back, front"),
        (Seen(TWO, RGB), "speed", "render, back, front"),
        (Seen(box(20, 20, 3)), "render", "observation"),
    ],
)
def test_advice_where_there_is_none(env, wanted, advice):
    with pytest.raises(GameError, match=advice):
        games.wrap(env, picture=wanted)
