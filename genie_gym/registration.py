"""The Gymnasium ids: `GenieRedux/<Title>-v0` where one system alone has it, and `GenieRedux/<Title-System>-v0`."""

from gymnasium.envs.registration import EnvSpec, registry

from genie_gym import paths
from genie_gym.games import names, short_titles

__all__ = ["NAMESPACE", "register_games"]

NAMESPACE = "GenieRedux"


def register_games() -> None:
    """Registers every game by strings, and the user's own that have weights.

    Written into the registry directly: `gymnasium.register` compares each of the two thousand ids with all others.
    """
    own = sorted(config.parent.name for config in paths.weights_dir("").glob("*-Own/config.json"))
    own = [name for name in own if paths.OWN_NAMES.fullmatch(name)]  # an id of any other would raise, at import
    ids = {name: name for name in [*names(), *own]} | short_titles()
    for title, game in ids.items():
        spec = EnvSpec(
            id=f"{NAMESPACE}/{title}-v0",
            entry_point="genie_gym.envs.world_model_env:WorldModelEnv",
            vector_entry_point="genie_gym.envs.vector_env:WorldModelVectorEnv",
            kwargs={"game": game},
        )
        registry[spec.id] = spec
