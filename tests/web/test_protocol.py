"""What a page says is read as it was meant, or refused; links hold what was played."""

import json
import struct

import numpy as np
import pytest

from genie_gym.errors import ConfigError
from genie_gym.web.protocol import (
    MOST_STEPS,
    Start,
    Taken,
    pack_frame,
    read_message,
    read_picture,
    read_play,
    write_play,
)


def test_links_hold_any_steps():
    rng = np.random.default_rng(0)
    for count in (0, 1, 7, 500):
        temperatures = np.repeat(rng.integers(0, 40, count), 3)[:count] / 8
        taken = [Taken(int(rng.integers(12)), float(temperature)) for temperature in temperatures]
        assert read_play(write_play(taken), 12, 1.0) == taken


def test_a_long_hold_makes_a_short_link():
    assert len(write_play([Taken(3, 1.0)] * MOST_STEPS)) < 20


DAMAGED = ("x", "1x", "-1", "12", "1x2x3", "1__2", "t", "t1e5", "t99", f"0x{MOST_STEPS}_0x1", "１")


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_link_is_refused(text):
    with pytest.raises(ConfigError):
        read_play(text, 12, 1.0)


def test_messages_have_their_types_and_defaults():
    assert read_message('{"type": "start", "world": "Pong", "seed": 3}') == Start("Pong", 3)
    for wrong in ('{"type": "start", "world": 3, "seed": 3}', '{"type": "start", "world": "Pong", "seed": 3, "x": 1}'):
        with pytest.raises(ConfigError):
            read_message(wrong)


def test_random_bytes_are_no_message():
    rng = np.random.default_rng(1)
    for _ in range(300):
        content = rng.bytes(int(rng.integers(200)))
        with pytest.raises(ConfigError):
            read_message(content.decode("latin-1"))
        with pytest.raises(ConfigError):
            read_picture(content)


def test_pictures_come_as_they_were_sent():
    picture = np.random.default_rng(2).integers(0, 256, (5, 7, 4), np.uint8)
    read = read_picture(struct.pack(">HH", 7, 5) + picture.tobytes())
    opaque = picture[..., 3] >= 128
    assert (read[opaque] == picture[..., :3][opaque]).all() and not read[~opaque].any()


def test_a_frame_names_its_parts_and_has_no_numbers_that_json_lacks():
    packed = pack_frame({"reward": float("nan"), "step": 4}, b"abc", b"", b"d")
    (length,) = struct.unpack(">I", packed[:4])
    assert json.loads(packed[4 : 4 + length]) == {"reward": None, "step": 4, "parts": [3, 0, 1]}
    assert packed[4 + length :] == b"abcd"
