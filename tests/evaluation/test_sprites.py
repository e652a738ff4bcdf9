"""The sprite detector against its formula, the toy's own sprite, and the real ship of Airstriker."""

import numpy as np
import pytest

from genie_gym import data, games
from genie_gym.collection.policies import StickyPolicy
from genie_gym.errors import ConfigError
from genie_gym.evaluation.sprites import SPRITE_BOXES, SpriteBox, SpriteDetector, cut_sprite, sprite_metrics
from genie_gym.games.toy import BODY, EYE, SKY
from tests.toy_play import record

TEMPLATE = np.random.default_rng(1).integers(60, 256, (5, 6, 3), np.uint8)


def frame_with(*corners: tuple[int, int], contrast: float = 1.0) -> np.ndarray:
    """A grey frame with the sprite at each corner, blended into the grey."""
    frame = np.full((64, 64, 3), 40, np.uint8)
    for row, column in corners:
        frame[row : row + 5, column : column + 6] = 40 + contrast * (TEMPLATE.astype(float) - 40)
    return frame


def test_similarity_is_the_share_of_the_template_that_a_patch_explains():
    frame = np.random.default_rng(0).integers(0, 256, (12, 14, 3), np.uint8)
    similarity = SpriteDetector([TEMPLATE]).similarity(frame)
    assert similarity.shape == (8, 9)
    template = TEMPLATE / 255.0 - (TEMPLATE / 255.0).mean((0, 1))
    for y, x in np.ndindex(8, 9):
        patch = frame[y : y + 5, x : x + 6] / 255.0
        left = np.square(patch - patch.mean((0, 1)) - template).sum() / np.square(template).sum()
        assert similarity[y, x] == pytest.approx(1 - left, abs=1e-3)


def test_a_ghost_is_less_similar_than_the_sprite():
    detector = SpriteDetector([TEMPLATE])
    assert detector.similarity(frame_with((30, 20))).max() == pytest.approx(1, abs=1e-4)
    assert detector.similarity(frame_with((30, 20), contrast=0.5)).max() == pytest.approx(0.75, abs=0.01)
    assert detector.similarity(frame_with()).max() == pytest.approx(0, abs=1e-4)


def test_finds_each_sprite_once_also_at_the_edges():
    detector = SpriteDetector([TEMPLATE])
    corners = [(0, 0), (30, 20), (30, 26), (59, 58)]  # two of them side by side
    assert sorted(map(tuple, detector.find(frame_with(*corners)))) == corners
    clips = np.stack([[frame_with(), frame_with((3, 4))], [frame_with((3, 4), (40, 40)), frame_with(*corners)]])
    np.testing.assert_array_equal(detector.count(clips), [[0, 1], [2, 4]])


def test_any_of_several_poses_counts():
    detector = SpriteDetector([TEMPLATE, TEMPLATE[:, ::-1]])
    mirrored = frame_with((10, 10))[:, ::-1]
    assert detector.count(mirrored) == 1
    assert SpriteDetector([TEMPLATE]).count(mirrored) == 0


def test_refuses_templates_that_find_anything():
    with pytest.raises(ConfigError, match="single colour"):
        SpriteDetector([np.zeros((5, 5, 3), np.uint8)])
    with pytest.raises(ConfigError, match="one shape"):
        SpriteDetector([TEMPLATE, TEMPLATE[:4]])
    with pytest.raises(ConfigError):
        SpriteDetector([])


def test_only_frames_that_really_show_the_player_count():
    real = np.stack(
        [[frame_with((30, 20))] * 2, [frame_with()] * 2, [frame_with((30, 20))] * 2, [frame_with((30, 20))] * 2]
    )
    shown = np.stack(
        [
            [frame_with((30, 21)), frame_with((30, 26))],  # one pixel beside it; a sprite's width away
            [frame_with((3, 3)), frame_with()],  # where there is none: counts neither way
            [frame_with(), frame_with((30, 20))],
            [frame_with((30, 20), (3, 3)), frame_with()],  # one too many, one of them right
        ]
    )
    found = sprite_metrics(SpriteDetector([TEMPLATE]), real, shown, real)
    assert found.real == [0.75, 0.75]
    assert found.kept == pytest.approx([2 / 3, 2 / 3])
    assert found.in_place == pytest.approx([2 / 3, 1 / 3])
    assert found.reconstructed == 1
    assert sprite_metrics(SpriteDetector([TEMPLATE]), real, shown, shown).reconstructed == pytest.approx(4 / 6)


def painted_out(frame: np.ndarray) -> np.ndarray:
    gone = frame.copy()
    gone[(gone == BODY).all(-1) | (gone == EYE).all(-1)] = SKY
    return gone


@pytest.fixture
def toy(tmp_path) -> data.EpisodeDataset:
    return data.EpisodeDataset(record(tmp_path / "toy", 6, 60))


def test_finds_the_toys_sprite_unless_it_is_painted_out(toy):
    # The toy starts with its sprite, 6 x 8 pixels, at (40, 16); a pixel of air around it, none of ground below.
    detector = cut_sprite(toy, SpriteBox(39, 15, 9, 8))
    assert detector is not None
    poses = [detector.templates[0], detector.templates[0][:, ::-1]]
    detector.templates = [np.ascontiguousarray(pose) for pose in poses]  # it also walks to the left
    frames = np.concatenate([episode.frames for episode in toy.episodes()])
    sprite = (frames == BODY).all(-1) | (frames == EYE).all(-1)
    frames = frames[(sprite.sum((1, 2)) == 6 * 8) & ~sprite[:, :, 0].any(1)]  # not half down a pit, not at the edge
    assert len(frames) > 100
    assert (detector.count(frames) == 1).mean() > 0.995
    assert not detector.count(np.stack([painted_out(frame) for frame in frames])).any()


def test_only_known_games_have_a_box_of_their_own(toy):
    assert cut_sprite(toy) is None
    with pytest.raises(ConfigError, match="outside"):
        cut_sprite(toy, SpriteBox(60, 15, 10, 8))
    with pytest.raises(ConfigError, match="single colour"):
        cut_sprite(toy, SpriteBox(0, 0, 4, 4))


@pytest.mark.retro
def test_finds_airstrikers_ship_whenever_it_lives(tmp_path):
    """Compare the lives in the emulator's memory with what the frames show."""
    pytest.importorskip("stable_retro")
    env = games.make("Airstriker")
    frames, lives = [env.reset(seed=1)[0]], [3]
    policy = StickyPolicy()
    policy.reset(4, np.random.default_rng(1))
    over = False
    while not over and len(frames) < 400:
        frame, _, over, _, info = env.step(policy(frames[-1]))
        frames.append(frame)
        lives.append(info["lives"])
    env.close()
    shown, lost = np.stack(frames), np.flatnonzero(np.diff(lives) < 0) + 1
    assert len(lost) >= 2
    # A ship explodes for 20 to 21 steps before its life is taken off and the next one appears.
    alive = np.ones(len(frames), bool)
    for step in lost:
        alive[max(step - 21, 0) : step] = False
    alive[lost[-1] :] = False  # the last one may be exploding when the game ends
    box = SPRITE_BOXES["Airstriker-Genesis"]
    template = shown[0, box.top : box.top + box.height, box.left : box.left + box.width]
    detector = SpriteDetector([template])
    assert (detector.count(shown[alive]) == 1).mean() > 0.995
    assert detector.count(shown[lost[0] - 19 : lost[0]]).max() == 0
    for frame in shown[alive]:
        row, column = detector.find(frame)[0]
        gone = frame.copy()
        gone[row : row + box.height, column : column + box.width] = 0
        assert detector.count(gone) == 0
