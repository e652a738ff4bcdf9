"""Ends of episodes: what is counted, on probabilities and chunks that are known."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch

from benchmarks.common.results import write_result
from benchmarks.quality.ends import (
    AHEAD,
    CHUNK,
    CONTEXT,
    LATER,
    comparable,
    ending,
    imagined,
    lines,
    measure,
    other,
    shares,
    told,
)
from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError
from tests.conftest import untrained
from tests.training.test_termination import STEPS, record


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = record(tmp_path_factory.mktemp("ends") / "toy", [True, False, True], steps=2 * STEPS)
    return [EpisodeDataset(folder)]


def test_chunks_hold_every_step_once_but_the_first_ones(datasets):
    ends, others = ending(datasets), other(datasets, 0, seed=0)
    assert [(index, stop) for _, index, stop in ends] == [(0, 81), (2, 81)]
    for index, length in ((0, 81), (1, 81), (2, 81)):
        stops = [stop for _, i, stop in (*ends, *others) if i == index]
        counted = [t for stop in stops for t in range(stop - CHUNK, stop)]
        assert len(counted) == len(set(counted)) and max(counted) == length - 1 and min(counted) >= CONTEXT
    assert len(other(datasets, 2, seed=0)) == 2


def test_what_is_counted():
    ends, others = np.full((4, CHUNK), 0.01), np.full((3, CHUNK), 0.001)
    ends[:, -1] = (0.9, 0.6, 0.4, 0.2)
    ends[2, -2] = 0.8  # a step too early, which is a false alarm
    others[1, 5] = 0.7
    found = shares(ends, others)
    assert (found["told_at_the_step"], found["told_at_the_step_or_the_one_before"], found["ends"]) == (2, 3, 4)
    assert found["false_alarms"] == 2 and found["other_steps"] == 4 * (CHUNK - 1) + 3 * CHUNK
    assert found["mean_probability_at_the_step"] == pytest.approx(0.525)


def test_reading_is_what_a_step_says_whose_frame_is_given(datasets):
    """Against steps of the model itself, with its cache, of which the real frames take the place of its own."""
    checkpoint = untrained(window=3)
    model, (one, index, stop) = checkpoint.model, ending(datasets)[0]
    (found,) = told(model, [model.dynamics.heads], [(one, index, stop)], 1, "")
    frames, actions = torch.from_numpy(one.frames(index, stop - CONTEXT - CHUNK, stop))[None], one.steps(index)[0]
    tokens = model.tokenizer.encode(frames.permute(0, 1, 4, 2, 3).float() / 255)
    taken = torch.from_numpy(actions[stop - CONTEXT - CHUNK : stop - 1])[None]
    state, _ = model.start(frames[:, :CONTEXT], taken[:, : CONTEXT - 1])
    noise = torch.full((1, model.numbers_per_step(checkpoint.sampling)), 0.5)
    for t in range(CHUNK):
        given = tokens[:, CONTEXT + t]
        outcome = model.advance(state, taken[:, CONTEXT - 1 + t], noise, checkpoint.sampling, given=given)
        assert outcome.termination_prob.item() == pytest.approx(found[0, t], abs=1e-4)


def test_imagined_ends_are_counted_from_the_real_one(datasets, monkeypatch):
    checkpoint, steps = untrained(), []
    step = type(checkpoint.model).step

    def ends_at_the_third(model, state, actions, sampling):
        steps.append(step(model, state, actions, sampling))
        steps[-1].terminated = torch.tensor([len(steps) == 3, False])
        return steps[-1]

    monkeypatch.setattr(type(checkpoint.model), "step", ends_at_the_third)
    assert imagined(checkpoint, ending(datasets), 8, seed=0).tolist() == [3 - AHEAD, LATER]


def test_models_that_differ_elsewhere_are_not_compared():
    one, other_one = untrained(), untrained(seed=1)
    assert comparable(one.model, one.model) is one.model.dynamics.heads
    with pytest.raises(ConfigError, match="differ elsewhere"):
        comparable(one.model, other_one.model)


def test_the_figures_are_written(datasets, tmp_path):
    options = Namespace(data=[one.folder for one in datasets], batch=2, others=1, seed=0)
    figures = measure(untrained(window=3), None, options)
    found = json.loads(write_result(tmp_path / "ends.json", figures, {}).read_text())
    assert found["now"]["read"]["ends"] == len(found["now"]["imagined"]["steps_after_the_real_end"]) == 2
    assert f"of {found['now']['read']['ends']} ends told at their step" in "".join(lines(figures))
