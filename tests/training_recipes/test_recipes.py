"""The recipes in the folder training run at toy size, from a dataset to a world model that steps."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genie_gym.collection.agent_policy import AgentPolicy
from genie_gym.errors import GenieGymError
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.lam import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.training.loop.config import TrainerConfig
from genie_gym.training.presets import PRESETS, Preset
from genie_gym.world_model import Checkpoint
from tests.toy_play import record

SMALL = {"dim": 16, "heads": 2, "window": 4}
RECIPE = TrainerConfig(steps=3, batch_size=2, warmup=1, validate_every=10)
MINIATURE = Preset(
    tokenizer=TokenizerConfig(patch=16, encoder_blocks=1, decoder_blocks=1, codes=16, code_dim=4, warmup=1, **SMALL),
    dynamics=DynamicsConfig(num_actions=0, blocks=1, side=4, codes=16, code_dim=4, **SMALL),
    lam=LatentActionConfig(patch=16, encoder_blocks=1, decoder_blocks=1, drawing_dim=8, warmup=1, **SMALL),
    tokenizer_training=RECIPE,
    dynamics_training=RECIPE,
    lam_training=RECIPE,
)


def recipe(name: str) -> ModuleType:
    """Import a recipe from its file, as it is no part of the package."""
    path = Path(__file__).parents[2] / "training" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def miniature(monkeypatch):
    monkeypatch.setitem(PRESETS, "miniature", MINIATURE)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("data") / "toy", episodes=6, steps=40)


@pytest.fixture(scope="module")
def tokenizer(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "miniature", MINIATURE)
        report = recipe("train_tokenizer").main(data, out, preset="miniature")
    assert report.finished and report.steps == 3
    return out / "tokenizer.safetensors"


def test_train_dynamics_writes_a_checkpoint_of_the_given_tokenizer(data, tokenizer, tmp_path):
    report = recipe("train_dynamics").main(data, tokenizer, tmp_path, preset="miniature", seed=3)
    assert report.finished
    checkpoint = Checkpoint.load(tmp_path / "checkpoint")
    assert (checkpoint.metadata.preset, checkpoint.metadata.seed) == ("miniature", 3)
    for name, value in load_file(tokenizer).items():
        assert torch.equal(value, checkpoint.model.tokenizer.state_dict()[name]), name
    state, _ = checkpoint.model.start(checkpoint.initial_contexts["frames"][:1])
    assert checkpoint.model.step(state, torch.tensor([1]), checkpoint.sampling).frames.shape == (1, 64, 64, 3)


def test_train_lam_and_dynamics_of_its_actions(data, tokenizer, tmp_path, capsys):
    assert recipe("train_lam").main(data, tmp_path / "lam", num_actions=5, preset="miniature").finished
    assert "mutual information with recorded actions" in capsys.readouterr().out
    lam = tmp_path / "lam" / "lam.safetensors"
    report = recipe("train_dynamics").main(data, tokenizer, tmp_path / "out", lam=lam, preset="miniature")
    assert report.finished
    checkpoint = Checkpoint.load(tmp_path / "out" / "checkpoint")
    assert checkpoint.model.dynamics.config.num_actions == 5 and checkpoint.model.latent_actions is not None


def test_finetune_compares_both_models(data, tmp_path, exploring_checkpoint):
    steps = {"decoder_steps": 1, "dynamics_steps": 1}
    psnr = recipe("finetune").main(exploring_checkpoint, (data,), tmp_path, clips=4, **steps)
    assert psnr.keys() == {"finetuned", "before"} and all(np.isfinite(list(psnr.values())))
    assert Checkpoint.load(tmp_path).metadata.finetuning[0].stages["dynamics"].steps == 1


def test_refit_reports_every_round(data, tmp_path, exploring_checkpoint, capsys):
    pytest.importorskip("sb3_contrib", reason="needs sb3-contrib: pip install genie_gym[sb3]")
    steps = {"decoder_steps": 1, "dynamics_steps": 1, "frames": 300, "rounds": 1, "clips": 4}
    folders = {"data": data, "run": tmp_path / "run", "out": tmp_path / "out"}
    report = recipe("refit").main("Toy", policy_source="random", checkpoint=exploring_checkpoint, **steps, **folders)
    assert report.finished and Checkpoint.load(tmp_path / "out").game["name"] == "Toy-Numpy"
    assert "round 1, new episodes:" in capsys.readouterr().out


def test_ppo_in_dream_evaluates_every_agent_and_a_random_one(tmp_path, toy_checkpoint):
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install genie_gym[sb3]")
    options = {"steps": 1, "episodes": 2, "seeds": (0, 1), "num_envs": 2, "checkpoint": toy_checkpoint, "threads": 1}
    options["real_steps"] = 1
    returns = recipe("ppo_in_dream").main("Toy-Numpy", out=tmp_path / "returns.json", **options)
    assert returns.keys() == {"seed 0", "seed 1", "real game, seed 0", "real game, seed 1", "random"}
    assert all(len(one) == 2 for one in returns.values())
    written = json.loads((tmp_path / "returns.json").read_text())
    assert written["returns"] == returns and written["settings"]["seeds"] == [0, 1]
    assert f"torch {torch.__version__}" in written["software"] and written["minutes"] >= 0
    for seed in (0, 1):
        for name in (f"returns-seed-{seed}", f"returns-real-game-seed-{seed}"):
            assert AgentPolicy(tmp_path / f"{name}.safetensors").name.startswith(f"{name}-")


def test_agents_are_saved_before_they_are_evaluated(tmp_path, toy_checkpoint, monkeypatch):
    """Hours of training are not lost to an evaluation that fails."""
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install genie_gym[sb3]")
    from genie_gym.sb3 import SavedAgent

    module = recipe("ppo_in_dream")
    options = {"steps": 1, "episodes": 1, "num_envs": 2, "checkpoint": toy_checkpoint, "threads": 1}
    with pytest.raises(GenieGymError, match="Nowhere"):  # before the training
        module.main("Nowhere", out=tmp_path / "none.json", **options)
    monkeypatch.setattr(module, "evaluate_policy", None)
    with pytest.raises(TypeError):
        module.main("Toy-Numpy", out=tmp_path / "returns.json", **options)
    (saved,) = tmp_path.iterdir()
    assert 0 <= SavedAgent(saved)(np.zeros((64, 64, 3), np.uint8)) < 4


def test_an_agent_sees_the_same_in_imagination_and_in_the_real_game(toy_checkpoint):
    """Four frames of one observation space each; the newest comes last, black before the first."""
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3: pip install genie_gym[sb3]")
    module = recipe("ppo_in_dream")
    real = module.stacked(module.make_game_vec_env("Toy-Numpy", 1, max_steps=6), seed=3)
    imagined = module.stacked(module.ImaginedVecEnv("Toy-Numpy", 1, checkpoint=toy_checkpoint), seed=3)
    assert real.observation_space == imagined.observation_space
    first, imagined_first = real.reset()[0].copy(), imagined.reset()[0]  # copied, as the stack is written over
    for observation in (first, imagined_first):
        assert not observation[:9].any() and observation[9:].any()
    np.testing.assert_array_equal(real.step(np.array([1]))[0][0][6:9], first[9:])
