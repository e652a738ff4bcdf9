"""FrameWindow against a deque per environment, with resets of some rows."""

from collections import deque

import numpy as np
import pytest

from genie_gym.rewards.window import FrameWindow

ROWS, SHAPE = 4, (2, 2, 3)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_it_equals_a_deque_for_each_environment(window):
    rng = np.random.default_rng(window)
    memory = FrameWindow(ROWS, window, SHAPE)
    frames = rng.integers(0, 256, (ROWS, *SHAPE), np.uint8)
    memory.reset(frames)
    pasts = [deque([frame], window) for frame in frames]
    taken = [deque(maxlen=window - 1) for _ in range(ROWS)]
    seen_ready = 0
    for _ in range(60):
        actions, frames = rng.integers(0, 9, ROWS), rng.integers(0, 256, (ROWS, *SHAPE), np.uint8)
        memory.on_action(actions)
        memory.observe(frames)
        for row in range(ROWS):
            pasts[row].append(frames[row])
            taken[row].append(actions[row])
        ready = [len(past) == window for past in pasts]
        assert memory.ready.tolist() == ready
        rows = np.flatnonzero(ready)
        seen_ready += len(rows)
        if len(rows):
            assert np.array_equal(memory.frames(rows), np.stack([np.stack(pasts[row]) for row in rows]))
            expected = np.array([list(taken[row]) for row in rows]).reshape(len(rows), window - 1)
            assert np.array_equal(memory.actions(rows), expected)
            assert np.array_equal(memory.frames(rows, 1)[:, 0], np.stack([pasts[row][0] for row in rows]))
        dones = rng.random(ROWS) < 0.15
        first = rng.integers(0, 256, (int(dones.sum()), *SHAPE), np.uint8)
        memory.reset(first, dones)
        for row, frame in zip(np.flatnonzero(dones), first, strict=True):
            pasts[row], taken[row] = deque([frame], window), deque(maxlen=window - 1)
    assert seen_ready > 20


def test_the_oldest_frames_are_available_before_the_newest():
    memory = FrameWindow(1, 3, SHAPE)
    memory.reset(np.zeros((1, *SHAPE), np.uint8))
    for value in (1, 2):
        memory.on_action(np.array([value]))
        memory.observe(np.full((1, *SHAPE), value, np.uint8))
    memory.on_action(np.array([3]))
    assert memory.ready.all()
    assert memory.frames(count=2)[0, :, 0, 0, 0].tolist() == [1, 2]
    assert memory.actions()[0].tolist() == [2, 3]
