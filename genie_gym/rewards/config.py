"""Options of an intrinsic reward."""

from dataclasses import dataclass

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import at_least, check_action_map, check_seed, check_types, check_unit_interval

__all__ = ["MODES", "REWARDS", "RewardConfig"]

REWARDS = ("autoexplore", "random_features", "vae_features", "rnd", "none")
MODES = ("replace", "add")


@dataclass(frozen=True)
class RewardConfig:
    """Options of an intrinsic reward, the same for one environment, a vector of environments and Stable-Baselines3.

    Attributes:
        reward: Name of the reward: autoexplore, or one of the baselines random_features, vae_features, rnd (random
            network distillation) and none. Baselines need neither game nor checkpoint, and learn while they are used.
        mode: With replace, the agent receives the intrinsic reward alone; with add, its sum with the game's reward.
        coefficient: Factor of the intrinsic reward.
        center: Subtract the running mean from the intrinsic reward. See RewardCenter for when this is appropriate.
        normalize: Divide the intrinsic reward by the running standard deviation of its discounted sum.
        gamma: Discount factor of that sum.
        score_interval: Score one step in so many, in all environments together. The other steps are rewarded 0 and
            need no forward pass. The count goes on through the ends of episodes and resets without a seed; a reset of
            all environments with a seed begins it anew, so that the same steps are scored every time.
        context: Number of frames that AutoExplore is shown.
        horizon: Number of frames that AutoExplore predicts. The reward belongs to the last.
        quantile: AutoExplore averages the entropy of the tokens at or above this quantile.
        sampling_steps: MaskGIT passes over the frame that AutoExplore scores.
        resize: Side in pixels, such as 64, to which frames of any size are padded and resized for the reward, as those
            of recordings are; the agent sees them as they are. None: they have the world model's size.
        action_map: The world model's action for each of the environment's, such as (0, 3, 1, 2), for environments with
            other actions than the model; None where they are the same.
        device: Device: auto (CUDA if there is one), cpu, cuda, cuda:1 ...
        precision: Number format of the world model: auto, float32 or bfloat16.
        compile: Compile AutoExplore's scoring. The first score takes a minute or two, later ones half the time.
        seed: Random seed of a baseline's networks.

    Raises:
        ConfigError: A value has the wrong type or is out of range.
    """

    reward: str = "autoexplore"
    mode: str = "replace"
    coefficient: float = 1.0
    center: bool = False
    normalize: bool = False
    gamma: float = 0.99
    score_interval: int = 1
    context: int = 2
    horizon: int = 3
    quantile: float = 0.75
    sampling_steps: int = 1
    resize: int | None = None
    action_map: tuple[int, ...] | None = None
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        if self.reward not in REWARDS:
            raise ConfigError(f"reward must be one of {', '.join(REWARDS)}; got {self.reward!r}")
        if self.mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}; got {self.mode!r}")
        at_least(1, score_interval=self.score_interval, context=self.context, horizon=self.horizon)
        at_least(1, sampling_steps=self.sampling_steps)
        at_least(1, resize=self.resize)
        check_action_map(self.action_map)
        check_unit_interval(gamma=self.gamma, quantile=self.quantile)
        check_seed(self.seed)
