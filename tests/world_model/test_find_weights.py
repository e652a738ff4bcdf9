"""Which weights a name stands for, and when a folder is read anew."""

from genie_gym import paths
from genie_gym.envs import WorldModelEnv
from genie_gym.world_model.weights import find_weights, shipped_weights
from tests.conftest import untrained

AIRSTRIKER = "Airstriker-Genesis"


def test_the_users_own_weights_come_before_those_that_ship():
    assert find_weights("Airstriker", None)[0] == str(shipped_weights(AIRSTRIKER))
    untrained(AIRSTRIKER).save(paths.weights_dir(AIRSTRIKER))
    assert find_weights("Airstriker", None)[0] == str(paths.weights_dir(AIRSTRIKER))


def test_a_new_fit_into_the_same_folder_is_a_new_model(tmp_path):
    untrained().save(tmp_path)
    before = WorldModelEnv(checkpoint=str(tmp_path))._dreams.model
    assert WorldModelEnv(checkpoint=str(tmp_path))._dreams.model is before
    untrained(seed=5).save(tmp_path)
    assert WorldModelEnv(checkpoint=str(tmp_path))._dreams.model is not before
