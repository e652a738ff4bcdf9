"""Configurations built from keyword options."""

import pytest

from genie_gym.errors import ConfigError
from genie_gym.utils.options import ComputeOptions, make_config


def test_a_config_is_taken_as_it_is():
    config = ComputeOptions(threads=3)
    assert make_config(ComputeOptions, config, {}) is config


def test_options_become_a_config():
    assert make_config(ComputeOptions, None, {"device": "cpu"}) == ComputeOptions(device="cpu")


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (ComputeOptions(), {"threads": 1}, "threads"),
        (None, {"thread": 1}, "did you mean 'threads'"),
        (None, {"colour": 1}, "known are: threads, device"),
    ],
)
def test_what_does_not_fit_is_refused(config, options, message):
    with pytest.raises(ConfigError, match=message):
        make_config(ComputeOptions, config, options)
