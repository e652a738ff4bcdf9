"""The compiled step: the same dreams as uncompiled, and a plain word where nothing can be compiled."""

import os
import subprocess
import sys
import warnings
from functools import partial

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from genie_gym.world_model import Checkpoint, SamplingConfig
from genie_gym.world_model.resolve import shipped_checkpoint
from tests.conftest import untrained

STEPS = """
import torch
from genie_gym.world_model import SamplingConfig
from tests.conftest import untrained
checkpoint = untrained()
checkpoint.model.compile_step()
state, _ = checkpoint.model.start(checkpoint.initial_contexts["frames"][:1])
for _ in range(2):
    print(checkpoint.model.step(state, torch.tensor([0]), SamplingConfig(steps=1)).frames.shape)
"""


def assert_a_compiled_dream_is_the_dream(make, passes, apart=1e-4):
    """Steps both side by side, with logits that may be so far apart; returns them."""
    eager, compiled = make(), make()
    compiled.model.compile_step()
    frames, prev_actions = eager.initial_contexts["frames"][:3], eager.initial_contexts["actions"][:3]
    actions = torch.randint(4, (8, 3), generator=torch.Generator().manual_seed(0))
    states = [checkpoint.model.start(frames, prev_actions)[0] for checkpoint in (eager, compiled)]
    for t, taken in enumerate(actions):
        if t == 4:  # rows begun anew
            for checkpoint, state in zip((eager, compiled), states, strict=True):
                state.put(torch.tensor([2, 0]), checkpoint.model.start(frames[:2, :2])[0])
        one, other = (
            checkpoint.model.step(state, taken, SamplingConfig(steps=passes))
            for checkpoint, state in zip((eager, compiled), states, strict=True)
        )
        torch.testing.assert_close(one.logits, other.logits, atol=apart, rtol=1e-4)
        assert (one.frames.int() - other.frames.int()).abs().max() <= 1
        torch.testing.assert_close(one.rewards, other.rewards, atol=1e-2, rtol=1e-3)
        assert torch.equal(states[0].tokens, states[1].tokens) and torch.equal(one.terminated, other.terminated)
    return eager, compiled


@pytest.mark.slow
def test_a_compiled_dream_of_several_passes_is_the_dream():
    assert_a_compiled_dream_is_the_dream(untrained, passes=3)


@pytest.mark.slow
def test_so_is_one_of_convolutions():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # it says so where nothing is compiled
        world = partial(Checkpoint.load, shipped_checkpoint("Breakout-Ale"))
        assert_a_compiled_dream_is_the_dream(world, passes=1, apart=1e-2)  # a trained world's logits reach hundreds


@pytest.mark.slow
def test_so_is_one_of_a_single_pass_in_two_games_and_beyond_the_limit_it_goes_on_uncompiled():
    """Three matters in one test: a step takes half a minute to compile."""
    action, sampling = torch.tensor([3]), SamplingConfig(steps=1)
    with torch._dynamo.config.patch(recompile_limit=1):  # one graph for each world; monkeypatch would not bring it back
        for game in ("Toy-Numpy", "SuperMarioBros-Nes"):  # which have different numbers of actions
            models = assert_a_compiled_dream_is_the_dream(partial(untrained, game), passes=1)
        with pytest.warns(RuntimeWarning, match="the step is compiled for 1 batch sizes"):  # one dream is another graph
            one, other = (
                x.model.step(x.model.start(x.initial_contexts["frames"][:1])[0], action, sampling) for x in models
            )
        torch.testing.assert_close(one.logits, other.logits, atol=1e-4, rtol=1e-4)
        with warnings.catch_warnings(), torch.compiler.set_stance("fail_on_recompile"):  # the graph is still in use
            warnings.simplefilter("error")
            models[1].model.step(
                models[1].model.start(models[1].initial_contexts["frames"][:3])[0], action.expand(3), sampling
            )


def test_a_pass_that_cannot_be_compiled_in_the_midst_of_a_step_is_made_uncompiled(monkeypatch):
    passes = []

    def failing(method, **options):
        def call(*given):
            if method.__name__ == "features":
                passes.append(given)
                if len(passes) == 2:  # the first one has committed a frame
                    raise TorchDynamoException("no space left on device")
            return method(*given)

        return call

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.warns(RuntimeWarning, match="a pass is not compiled .no space left on device. and goes on uncompiled"):
        assert_a_compiled_dream_is_the_dream(untrained, passes=3)
    assert len(passes) == 2


def test_without_a_compiler_the_dream_goes_on_and_says_so(tmp_path):
    environment = os.environ | {"CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("torch.Size([1, 64, 64, 3])") == 2
    assert done.stderr.count("RuntimeWarning: the step is not compiled") == 1
    assert "install a C++ compiler (apt install g++), or leave compile out" in done.stderr
