"""The explorer: the paper's convolutions and LSTM as a policy of sb3-contrib's RecurrentPPO.

Shapes: n frames, s side of a frame in pixels.
"""

from itertools import pairwise
from typing import Any

import gymnasium as gym
import torch
from einops import rearrange
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticCnnPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from genie_gym.sb3.config import ExplorerConfig
from genie_gym.utils.precision import autocast, resolve_precision

__all__ = ["ExplorerCNN", "ExplorerPolicy", "make_explorer"]


class ExplorerCNN(BaseFeaturesExtractor):
    """Four 3 x 3 convolutions with max-pooling: float (n, 3, s, s) in [0, 1] to float (n, 64 (s / 16)^2).

    For s = 64 the result has the 1,024 features of the paper's agent (section 3.4), which uses the layers of IRIS
    (Micheli et al. 2023).

    Args:
        observation_space: Box (3, s, s).
    """

    WIDTHS = (32, 32, 64, 64)
    CHUNK = 32  # frames that a CPU processes together, so that intermediate results fit into its cache

    def __init__(self, observation_space: gym.spaces.Box):
        channels, height, width = observation_space.shape
        super().__init__(observation_space, self.WIDTHS[-1] * (height // 16) * (width // 16))
        stages = (
            nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())
            for inside, outside in pairwise((channels, *self.WIDTHS))
        )
        self.stages = nn.Sequential(*stages, nn.Flatten())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        frames = (2 * observations - 1).contiguous(memory_format=torch.channels_last)
        if frames.is_cuda:
            return self.stages(frames)
        # In small chunks with channels last, a CPU trains four times faster than on a whole batch with channels first,
        # and with AMX twice as fast again in bfloat16. The LSTM stays in float32, where its kernel is faster.
        with autocast(resolve_precision("auto", frames.device), frames.device):
            features = torch.cat([self.stages(part) for part in frames.split(self.CHUNK)])
        return features.float()


class ExplorerPolicy(RecurrentActorCriticCnnPolicy):
    """The policy of sb3-contrib with convolutions and LSTM, whose LSTM processes a whole sequence in one call.

    The original processes all sequences of a batch step by step if an episode begins in one of them, which takes many
    times longer on a CPU. Its buffer splits sequences where episodes begin, so only their first step can be a start.
    """

    @staticmethod  # sb3-contrib annotates one tensor too few
    def _process_sequence(  # type: ignore[override]
        features: torch.Tensor,
        lstm_states: tuple[torch.Tensor, torch.Tensor],
        episode_starts: torch.Tensor,
        lstm: nn.LSTM,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the outputs (q * t, units) of q sequences and the new states.

        Args:
            features: Float (q * t, f).
            lstm_states: Hidden and cell states, each (layers, q, units).
            episode_starts: Float (q * t,), 1 at the first step of an episode.
            lstm: The LSTM.
        """
        hidden, cell = lstm_states
        starts = rearrange(episode_starts, "(q t) -> t q", q=hidden.shape[1])
        if starts[1:].any():
            stepwise: Any = RecurrentActorCriticCnnPolicy._process_sequence
            return stepwise(features, lstm_states, episode_starts, lstm)
        kept = rearrange(1 - starts[0], "q -> 1 q 1")
        output, after = lstm(rearrange(features, "(q t) f -> t q f", q=hidden.shape[1]), (kept * hidden, kept * cell))
        return rearrange(output, "t q f -> (q t) f"), after


def make_explorer(
    env: VecEnv, config: ExplorerConfig | None = None, *, seed: int = 0, device: str = "auto"
) -> RecurrentPPO:
    """Return an untrained explorer for a vector of games. `learn` trains it on the rewards of `env`.

    Args:
        env: Environments with observations uint8 (s, s, 3), s a multiple of 16, and Discrete actions.
        config: Hyperparameters.
        seed: Random seed of the weights, the actions and the environments.
        device: "auto", "cpu" or "cuda".
    """
    config = config or ExplorerConfig()
    policy: dict[str, Any] = {
        "features_extractor_class": ExplorerCNN,
        "lstm_hidden_size": config.lstm_hidden_size,
        "net_arch": [],  # actor and critic are linear in the LSTM's output
        # Actor and critic have separate LSTMs: with a shared one, sb3-contrib stops the gradient of the critic, and
        # the convolutions would learn from the actor alone.
        "enable_critic_lstm": True,
    }
    return RecurrentPPO(
        ExplorerPolicy,
        env,
        learning_rate=config.learning_rate,
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=config.ent_coef,
        policy_kwargs=policy,
        seed=seed,
        device=device,
    )
