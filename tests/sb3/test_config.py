"""The explorer's hyperparameters: available without Stable-Baselines3, and checked."""

import subprocess
import sys

import pytest

from genie_gym.errors import ConfigError
from genie_gym.sb3 import ExplorerConfig

WITHOUT_SB3 = """
import sys
sys.modules["stable_baselines3"] = sys.modules["sb3_contrib"] = None
from genie_gym.errors import MissingExtraError
from genie_gym.sb3 import ExplorerConfig
ExplorerConfig()
try:
    from genie_gym.sb3 import make_explorer
except MissingExtraError as error:
    print(error, "torch" in sys.modules)
"""


def test_without_sb3_only_the_config_is_available():
    answer = subprocess.run([sys.executable, "-c", WITHOUT_SB3], capture_output=True, text=True, check=True)
    assert "pip install 'genie_gym[sb3]' False" in answer.stdout


@pytest.mark.parametrize("options", [{"learning_rate": 0.0}, {"n_steps": 0}, {"lstm_hidden_size": -1}])
def test_values_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options)).replace("_", ".")):
        ExplorerConfig(**options)
