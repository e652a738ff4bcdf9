"""The cache as a ring: which frame lies where, how old it is, and rows replaced alone."""

import torch

from genie_gym.models.kv_cache import Cache

WINDOW = 3


def empty(batch: int) -> Cache:
    return Cache.empty(batch, blocks=2, tokens=1, heads=1, dim=2, window=WINDOW, like=torch.zeros(()))


def remember(cache: Cache, *frames: int) -> None:
    """Commits frames whose keys, values and tails are their numbers."""
    new = torch.tensor(frames, dtype=torch.float32).reshape(1, 1, 1, -1, 1).expand(len(cache.count), 1, 1, -1, 2)
    for block in cache.blocks:
        block.extend(torch.stack([new, -new]), len(frames), cache.number)
    cache.advance(len(frames))


def times(cache: Cache) -> torch.Tensor:
    return cache.times(torch.arange(0), 0)


def contents(cache: Cache, row: int) -> list[tuple[int, int]]:
    """(age, frame number) of what the ring holds, oldest first."""
    block = cache.blocks[-1]
    numbers, values = block.memory[:, row, 0, 0, :WINDOW, 0]
    assert torch.equal(values, -numbers)
    held = zip(times(cache)[row].tolist(), numbers.tolist(), strict=True)
    return sorted((age, int(number)) for age, number in held if age > -1000)


def test_nothing_is_within_reach_at_first():
    assert contents(empty(1), 0) == []
    assert (times(empty(1)) < -1000).all()


def test_the_newest_frames_are_kept_with_their_ages():
    cache = empty(1)
    for number in range(8):
        remember(cache, 10 + number)
        count = min(number + 1, WINDOW)
        assert contents(cache, 0) == [(-age, 11 + number - age) for age in range(count, 0, -1)]


def test_a_prompt_longer_than_the_window_leaves_its_end():
    cache = empty(1)
    remember(cache, *range(10, 18))
    assert contents(cache, 0) == [(-3, 15), (-2, 16), (-1, 17)]
    remember(cache, 18, 19)
    assert contents(cache, 0) == [(-3, 17), (-2, 18), (-1, 19)]


def test_what_is_laid_beside_the_ring_is_not_remembered():
    cache = empty(1)
    remember(cache, 10)
    block = cache.blocks[0]
    draft = torch.full((1, 1, 1, 1, 2), 99.0)
    seen = block.extend(torch.stack([draft, draft]), 0, cache.number)
    assert seen.shape == (2, 1, 1, 1, WINDOW + 1, 2)
    assert (seen[..., -1, :] == 99).all()
    assert contents(cache, 0) == [(-1, 10)]


def test_times_of_all_that_a_pass_sees():
    cache = empty(2)
    remember(cache, 10, 11)
    cache.put(torch.tensor([1]), empty(1))  # a clip that has only begun
    frame_and_draft = cache.times(torch.arange(2), 1)  # slots hold frames 0, 1 and the new one
    assert frame_and_draft.tolist() == [[-2, -1, 0, 1], [-(10**6), -(10**6), 0, 1]]
    prompt = cache.times(torch.arange(2), 2)
    assert prompt.tolist() == [[-2, -1, -(10**6), 0, 1], [-(10**6)] * 3 + [0, 1]]


def test_put_replaces_the_named_rows_and_no_others():
    cache, other = empty(3), empty(2)
    remember(cache, *range(10, 15))
    remember(other, 50, 51)
    for block in other.blocks:
        block.tails[0].fill_(7)
    cache.put(torch.tensor([2, 0]), other)
    assert contents(cache, 1) == [(-3, 12), (-2, 13), (-1, 14)]
    for row in (0, 2):
        assert contents(cache, row) == [(-2, 50), (-1, 51)]
        assert (cache.blocks[1].tails[0][row] == 7).all()
    assert (cache.blocks[1].tails[0][1] == 0).all()
    assert cache.count.tolist() == [2, 5, 2]
    remember(cache, 60)  # all blocks go by the same count
    assert [contents(cache, row)[-1] for row in range(3)] == [(-1, 60)] * 3


def test_low_precision_rings_beside_full_precision_tails():
    with torch.autocast("cpu", torch.bfloat16):
        block = empty(1).blocks[0]
    assert (block.memory.dtype, block.tails[0].dtype) == (torch.bfloat16, torch.float32)
