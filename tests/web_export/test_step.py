"""The step as ONNX, run by onnxruntime, against the step by torch: of each architecture, over several steps."""

import numpy as np
import pytest
import torch

from genie_gym.models.heads import symexp
from genie_gym.web_export.step import INPUTS, OUTPUTS, named_tensors, write_step
from genie_gym.world_model import Checkpoint
from genie_gym.world_model.rng import uniform
from genie_gym.world_model.sampling import SamplingConfig

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("checkpoint", "sampling"),
    [
        ("toy_checkpoint", SamplingConfig(steps=2, order="confidence", temperature=0.7)),
        ("conv_checkpoint", SamplingConfig(temperature=0.5)),
    ],
    ids=["transformer", "convolutions"],
)
def test_onnxruntime_takes_the_steps_that_torch_takes(checkpoint, sampling, request, tmp_path):
    loaded = Checkpoint.load(request.getfixturevalue(checkpoint))
    model, contexts, seed = loaded.model, loaded.initial_contexts, torch.tensor([41])
    write_step(model, sampling, tmp_path / "step.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx")
    assert [x.name for x in session.get_inputs()][:3] == list(INPUTS)
    state, _ = model.start(contexts["frames"][:1], contexts["actions"][:1], seed)
    arrays = {name: tensor.numpy().copy() for name, tensor in named_tensors(state)}
    none, largest_reward = np.full((1, model.tokens), -1), float(symexp(model.dynamics.heads.bins[-1]))
    for action in (0, 1, 3, 3, 2, 0):
        noise = uniform(seed, state.past.count, model.numbers_per_step(sampling)).numpy()
        outcome = model.step(state, torch.tensor([action]), sampling)
        inputs = {"action": np.array([action]), "given": none, "noise": noise}
        results = session.run(None, inputs | arrays)
        frame, reward, probability, terminated, entropy = results[: len(OUTPUTS)]
        assert np.abs(frame.astype(int) - outcome.frames.numpy()).max() <= 1
        # An untrained reward is what remains of values up to 22,000 that cancel out, each rounded.
        np.testing.assert_allclose(reward, outcome.rewards, rtol=1e-4, atol=1e-6 * largest_reward)
        np.testing.assert_allclose(probability, outcome.termination_prob, rtol=1e-4, atol=1e-4)
        assert terminated == outcome.terminated.numpy()
        chances = outcome.logits.softmax(-1).numpy()
        bits = -(chances * np.log(np.maximum(chances, 1e-30))).sum(-1)
        rounded = 1e-6 * float(outcome.logits.amax() - outcome.logits.amin())  # hundreds in convolutions
        np.testing.assert_allclose(entropy, 2 * bits / np.log(chances.shape[-1]), rtol=1e-4, atol=max(1e-4, rounded))
        arrays = dict(zip(arrays, results[len(OUTPUTS) :], strict=True))
        for name, tensor in named_tensors(state):
            np.testing.assert_allclose(arrays[name], tensor, rtol=1e-3, atol=1e-3, err_msg=name)
    given = np.arange(model.tokens)[None] % 5
    given[:, 3] = -1  # this one is sampled
    (tokens,) = session.run(["next.tokens"], {"action": np.array([-1]), "given": given, "noise": noise} | arrays)
    assert (tokens[given >= 0] == given[given >= 0]).all() and tokens[0, 3] >= 0
