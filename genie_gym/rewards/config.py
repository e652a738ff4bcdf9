"""Options of an intrinsic reward."""

from dataclasses import dataclass

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import at_least, check_action_map, check_seed, check_types, check_unit_interval, short

__all__ = ["HABITUATIONS", "MODES", "REWARDS", "UNCERTAINTIES", "ExplorationOptions", "RewardConfig"]

REWARDS = ("autoexplore", "random_features", "vae_features", "rnd", "none")
MAX_BITS = 62  # of a hash that is one whole number
MODES = ("replace", "add")
UNCERTAINTIES = ("entropy", "action_information", "round_trip")
HABITUATIONS = ("none", "episodic", "lifelong", "both")


@dataclass(frozen=True, kw_only=True)
class ExplorationOptions:
    """Options of AutoExplore's reward beyond the paper's, which is the default.

    Attributes:
        uncertainty: What AutoExplore measures: entropy (the paper's); action_information (how much the predicted frame
            depends on the action, which leaves out what moves by itself); or round_trip (the share of predicted tokens
            that change when they are decoded and encoded again).
        action_sample: Number of actions that action_information compares, evenly spaced among the model's; each takes a
            forward pass.
        habituation: Divide AutoExplore's reward by the square root of the visits to like frames: episodic (visits in
            this episode), lifelong (since the beginning), both (by the roots of both), or none. Frames are alike if a
            coarse hash of the tokenizer's tokens is the same.
        hash_bits: Bits of that hash. More tell more frames apart.
    """

    uncertainty: str = "entropy"
    action_sample: int = 4
    habituation: str = "none"
    hash_bits: int = 16

    def check_exploration(self) -> None:
        """Raise ConfigError if one of these options is out of range."""
        if self.uncertainty not in UNCERTAINTIES:
            raise ConfigError(f"uncertainty must be one of {', '.join(UNCERTAINTIES)}; got {short(self.uncertainty)}")
        if self.habituation not in HABITUATIONS:
            raise ConfigError(f"habituation must be one of {', '.join(HABITUATIONS)}; got {short(self.habituation)}")
        at_least(2, action_sample=self.action_sample)
        at_least(1, hash_bits=self.hash_bits)
        if self.hash_bits > MAX_BITS:
            raise ConfigError(f"hash_bits must be {MAX_BITS} or less; got {self.hash_bits}")

    @property
    def is_the_papers(self) -> bool:
        """Whether the reward is that of the paper."""
        return self.uncertainty == "entropy" and self.habituation == "none"


@dataclass(frozen=True)
class RewardConfig(ExplorationOptions):
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
        self.check_exploration()
        if self.reward != "autoexplore" and not self.is_the_papers:
            raise ConfigError(
                f"uncertainty and habituation are options of the reward autoexplore; leave them out with {self.reward}"
            )
        if self.uncertainty == "action_information" and self.sampling_steps > 1:
            raise ConfigError(f"action_information takes one pass; leave out sampling_steps {self.sampling_steps}")
