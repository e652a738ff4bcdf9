"""Gymnasium ids: `GenieRedux/<Title-System>-v0`, and `GenieRedux/<Title>-v0` if that is enough (see `games.find`)."""

from gymnasium.envs.registration import EnvSpec, registry

from genie_gym.games import names, short_titles
from genie_gym.games.game_names import known_games
from genie_gym.utils import paths

__all__ = ["NAMESPACE", "register_games", "register_own_games"]

NAMESPACE = "GenieRedux"


def register_games() -> None:
    """Register every game, and the user's own games that have weights, without importing an environment."""
    _register({name: name for name in names()} | short_titles())
    if paths.has_home():
        register_own_games()


def register_own_games() -> None:
    """Register the user's own games that have weights, which `train` does; call it where another process trains."""
    configs = [config for config in paths.weights_dir("").glob("*-Own/config.json") if config.is_file()]
    names = {game for config in configs for game in (config.parent.name, *known_games(config)) if game.endswith("-Own")}
    _register({name: name for name in sorted(names) if paths.OWN_NAMES.fullmatch(name)})  # others would be invalid ids


def _register(ids: dict[str, str]) -> None:
    """Register games by the names of their environments.

    The specs are written into the registry directly, as `gymnasium.register` compares each of the two thousand ids
    with all others. Gymnasium's passive checker is left out: it takes a reset that was refused for one that was made,
    and fails at the step after it. The environments check what they are given themselves.
    """
    for title, game in ids.items():
        spec = EnvSpec(
            id=f"{NAMESPACE}/{title}-v0",
            entry_point="genie_gym.envs.world_model_env:WorldModelEnv",
            vector_entry_point="genie_gym.envs.vector_env:WorldModelVectorEnv",
            kwargs={"game": game},
            disable_env_checker=True,
        )
        registry[spec.id] = spec
