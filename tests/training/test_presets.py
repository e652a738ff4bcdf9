"""The presets and the recipes made of them."""

from dataclasses import replace

import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.models.lam import LatentActionModel
from genie_gym.training.presets import PRESETS, get_preset


@pytest.mark.parametrize("name", PRESETS)
def test_the_dynamics_speaks_the_tokenizers_language(name):
    chosen = get_preset(name)
    tokenizer, dynamics = chosen.tokenizer, chosen.dynamics_for(6)
    assert (dynamics.codes, dynamics.code_dim, dynamics.side) == (tokenizer.codes, tokenizer.code_dim, tokenizer.side)
    assert dynamics.num_actions == 6
    with torch.device("meta"):  # no memory is needed to build one
        assert sum(p.numel() for p in tokenizer.build().parameters()) > 1e5
        assert sum(p.numel() for p in dynamics.build().parameters()) > 1e6
        latent = LatentActionModel(chosen.lam)
    assert latent.config.codes == 8 and latent.config.size == tokenizer.size
    assert chosen.lam_clip_length >= 2


@pytest.mark.parametrize("name", ["tiny", "tiny-transformer"])
def test_it_fits_into_16_megabytes(name):
    chosen = get_preset(name)
    with torch.device("meta"):
        models = chosen.tokenizer.build(), chosen.dynamics_for(8).build()
    assert 4 * sum(v.numel() for m in models for v in m.state_dict().values()) < 16e6


def test_paper_has_the_papers_sizes():
    chosen = get_preset("paper")
    assert (chosen.tokenizer.side, chosen.tokenizer.codes, chosen.tokenizer.code_dim) == (16, 1024, 32)
    assert (chosen.dynamics.dim, chosen.dynamics.blocks, chosen.dynamics.heads, chosen.dynamics.window) == (
        512,
        12,
        8,
        16,
    )
    assert chosen.dynamics_training.batch_size * chosen.dynamics_training.accumulate == 84


def test_minutes_are_shared_between_the_stages():
    chosen = get_preset("tiny")
    plan = chosen.plan(20.0, seed=3)
    assert list(plan) == ["tokenizer", "dynamics"]
    first, second = plan.values()
    assert first.minutes == pytest.approx(20 * chosen.tokenizer_share)
    assert first.minutes + second.minutes == pytest.approx(20)
    assert first.steps is None and second.steps is None
    assert (first.seed, second.seed) == (3, 3)
    assert first.lr == chosen.tokenizer_training.lr and second.lr == chosen.dynamics_training.lr


def test_without_minutes_the_presets_steps_count():
    chosen = get_preset("small")
    assert [recipe.steps for recipe in chosen.plan(None, 0).values()] == [50_000, 50_000]


def test_latent_actions_take_their_share_of_the_minutes():
    chosen = get_preset("tiny")
    plan = chosen.plan(20.0, seed=3, latent=True)
    assert list(plan) == ["tokenizer", "latent_actions", "dynamics"]
    minutes = {name: recipe.minutes for name, recipe in plan.items()}
    rest = 20 * (1 - chosen.lam_share)
    expected = {"latent_actions": 20 * chosen.lam_share, "tokenizer": rest * chosen.tokenizer_share}
    assert minutes == pytest.approx(expected | {"dynamics": rest * (1 - chosen.tokenizer_share)})
    assert (plan["latent_actions"].seed, plan["latent_actions"].lr) == (3, chosen.lam_training.lr)
    assert [recipe.steps for recipe in chosen.plan(None, 0, latent=True).values()] == [2400, 4000, 8000]


def test_joint_training_is_one_stage_with_the_recipe_of_the_dynamics():
    chosen = get_preset("tiny")
    plan = chosen.plan(None, 3, latent=True, joint=True, compile=True)
    assert list(plan) == ["tokenizer", "joint"]
    assert plan["joint"] == replace(chosen.dynamics_training, seed=3, compile=True)


def test_unknown_preset():
    with pytest.raises(ConfigError, match="unknown preset 'huge'; choose one of tiny, tiny-transformer, small, paper"):
        get_preset("huge")
