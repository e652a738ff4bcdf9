"""Options of the imagined environments."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.utils.options import SamplingOptions, make_config
from genie_gym.utils.validation import at_least, check_action_map, check_types
from genie_gym.world_model.sampling import SamplingConfig

__all__ = ["REWARDS", "WorldModelEnvConfig", "make_env_config"]

REWARDS = ("game", "autoexplore")


@dataclass(frozen=True, kw_only=True)
class WorldModelEnvConfig(SamplingOptions):
    """Options of WorldModelEnv and WorldModelVectorEnv; the four of SamplingOptions are among them.

    Attributes:
        game: Name of a game. Its weights are looked for in the user's folder, then in the package.
        checkpoint: A checkpoint folder, the id of a model on the Hugging Face hub, or the name of another game; takes
            precedence over `game`. In a model of many games, `game` says which; without it, the actions are all that
            the model knows. Of a game that it never saw, it dreams from prompts.
        device: Device: auto (CUDA if there is one), cpu, cuda, cuda:1 ...
        precision: Precision of matrix products: auto (bfloat16 where the hardware has it), float32 or bfloat16.
        compile: Let torch compile the step: minutes at first, then faster. See WorldModel.compile_step.
        context: Real frames that a rollout starts from; as many as the checkpoint keeps by default.
        terminate: Whether an episode may end where the model says that the game would; else it never terminates.
        reward: Reward of a step: game (what the game is expected to give) or autoexplore (the model's uncertainty).
        upscale: Give and render frames as the checkpoint's upscaler draws them, four times as high and wide. The model
            and prompts keep their size.
        real_actions: Take the real game's actions in a world of latent actions; `genie-gym map-actions` must have found
            which latent action stands for each.
        action_map: The world's action for each of yours, such as (0, 3, 1, 2): the action space is then yours.
            `genie_gym.games.match_actions` finds it by the names of the actions.

    Raises:
        ConfigError: A value has the wrong type or is out of range.

    >>> WorldModelEnvConfig(game="Airstriker", reward="autoexplore").terminate
    True
    """

    game: str | None = None
    checkpoint: str | Path | None = None
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    context: int | None = None
    terminate: bool = True
    reward: str = "game"
    upscale: bool = False
    real_actions: bool = False
    action_map: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_types(self)
        at_least(1, context=self.context)
        check_action_map(self.action_map)
        SamplingConfig().with_overrides(self)  # checks their values
        if self.reward not in REWARDS:
            raise ConfigError(f"unknown reward {self.reward!r} of a dream; choose one of: {', '.join(REWARDS)}")


def make_env_config(
    config: WorldModelEnvConfig | None,
    game: str | None = None,
    checkpoint: str | Path | None = None,
    options: dict[str, Any] | None = None,
) -> WorldModelEnvConfig:
    """Return the configuration given, with the game that a Gymnasium id brings, or one built from keyword options.

    Raises:
        ConfigError: A configuration and options were given, or an option is unknown, of another type or out of range.
    """
    if isinstance(config, WorldModelEnvConfig) and config.game in (None, game):
        config, game = replace(config, game=game), None
    named = {"game": game, "checkpoint": checkpoint}
    given = {name: value for name, value in named.items() if value is not None} | (options or {})
    return make_config(WorldModelEnvConfig, config, given)
