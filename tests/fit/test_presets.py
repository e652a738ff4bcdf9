"""The presets and the recipes made of them."""

import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.fit.presets import PRESETS, preset
from genie_gym.models.dynamics import Dynamics
from genie_gym.models.latent_actions import LatentActionModel
from genie_gym.models.tokenizer import Tokenizer


@pytest.mark.parametrize("name", PRESETS)
def test_the_dynamics_speaks_the_tokenizers_language(name):
    chosen = preset(name)
    tokenizer, dynamics = chosen.tokenizer, chosen.dynamics_for(6)
    assert (dynamics.codes, dynamics.code_dim, dynamics.side) == (tokenizer.codes, tokenizer.code_dim, tokenizer.side)
    assert dynamics.actions == 6 and dynamics.dim % dynamics.heads == 0 and tokenizer.dim % tokenizer.heads == 0
    with torch.device("meta"):  # no memory is needed to build one
        assert sum(p.numel() for p in Tokenizer(tokenizer).parameters()) > 1e5
        assert sum(p.numel() for p in Dynamics(dynamics).parameters()) > 1e6
        latent = LatentActionModel(chosen.latent_actions)
    assert latent.config.codes == 8 and latent.config.size == tokenizer.size
    assert chosen.clip_latent_actions >= 2


def test_tiny_fits_into_16_megabytes():
    chosen = preset("tiny")
    with torch.device("meta"):
        models = Tokenizer(chosen.tokenizer), Dynamics(chosen.dynamics_for(8))
    assert 4 * sum(v.numel() for m in models for v in m.state_dict().values()) < 16e6


def test_paper_has_the_papers_sizes():
    chosen = preset("paper")
    assert (chosen.tokenizer.side, chosen.tokenizer.codes, chosen.tokenizer.code_dim) == (16, 1024, 32)
    assert (chosen.dynamics.dim, chosen.dynamics.blocks, chosen.dynamics.heads, chosen.dynamics.window) == (
        512,
        12,
        8,
        16,
    )
    assert chosen.fit_dynamics.batch * chosen.fit_dynamics.accumulate == 84


def test_minutes_are_shared_between_the_stages():
    chosen = preset("tiny")
    first, second = chosen.fits_for(20.0, seed=3)
    assert first.minutes == pytest.approx(20 * chosen.share) and first.minutes + second.minutes == pytest.approx(20)
    assert first.steps is None and second.steps is None
    assert (first.seed, second.seed) == (3, 3)
    assert first.lr == chosen.fit_tokenizer.lr and second.lr == chosen.fit_dynamics.lr


def test_without_minutes_the_presets_steps_count():
    chosen = preset("small")
    assert [fit.steps for fit in chosen.fits_for(None, 0)] == [50_000, 50_000]


def test_latent_actions_take_their_share_of_the_minutes():
    chosen = preset("tiny")
    latent, *others = chosen.latent_fits_for(20.0, seed=3)
    assert latent.minutes == pytest.approx(20 * chosen.share_latent_actions)
    assert sum(fit.minutes or 0 for fit in (latent, *others)) == pytest.approx(20)
    assert tuple(others) == chosen.fits_for(20 - (latent.minutes or 0), seed=3)
    assert (latent.seed, latent.lr) == (3, chosen.fit_latent_actions.lr)
    assert [fit.steps for fit in chosen.latent_fits_for(None, 0)] == [4000, 2400, 5000]


def test_unknown_preset():
    with pytest.raises(ConfigError, match="unknown preset 'huge'; choose one of tiny, small, paper"):
        preset("huge")
