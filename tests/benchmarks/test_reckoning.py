"""The reckoning of a training's cost, against hand arithmetic."""

import pytest

from benchmarks.speed.reckoning import reckon

A_SECOND = 156e12  # operations that an A100 does in a second at half of its peak
MEASURED = {
    "clips_read_per_core_second": 5.0,
    "training": {
        "large": {"clips_per_step": 10, "flop_per_clip": A_SECOND, "weights": 300e9 / 7, "steps": 3600},
        "small": {"clips_per_step": 1, "flop_per_clip": A_SECOND / 2, "weights": 0, "steps": 7200},
    },
}


@pytest.mark.parametrize(
    ("count", "computing", "exchange"),
    [
        (1, 10, 0),
        (8, 2, 1),  # some have two of ten clips; 2 * 7/8 * 4 bytes of 300/7 G weights by 300 GB/s
        (64, 1, 6.75),  # 2 * 63/64 * 4 bytes of 300/7 G weights by 50 GB/s
    ],
)
def test_hours_on_gpus(count, computing, exchange):
    step = computing + exchange  # seconds, so that 3600 steps take as many hours
    found = reckon(MEASURED, "NVIDIA A100", count, share=0.5)
    assert found["hours"] == pytest.approx(step + 1)  # 7200 small steps of half a second
    assert found["gpu_hours"] == pytest.approx(count * (step + 1))
    assert found["exchanging"] == pytest.approx(exchange / step)
    fastest = max(10 / step, 2)  # clips a second, of the large part or the small one
    assert found["clips_per_second"] == pytest.approx(fastest) and found["reading_cores"] == pytest.approx(fastest / 5)
