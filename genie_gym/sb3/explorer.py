"""The explorer: the paper's convolutions and LSTM as a policy of sb3-contrib's RecurrentPPO.

Shapes: n frames, s side of a frame in pixels.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import gymnasium as gym
import numpy as np
import torch
from einops import rearrange
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticCnnPolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from genie_gym.errors import CheckpointError
from genie_gym.sb3.config import ExplorerConfig
from genie_gym.sb3.reward_wrappers import set_reward_statistics
from genie_gym.utils.precision import autocast, resolve_precision

__all__ = ["ExplorerCNN", "ExplorerPolicy", "make_explorer", "resume_explorer"]


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


def resume_explorer(
    path: Path,
    env: VecEnv,
    config: ExplorerConfig | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    init_from: Path | None = None,
) -> tuple[RecurrentPPO, dict[str, Any]]:
    """Return the explorer saved at `path`, or a new one if there is none.

    A saved explorer is resumed with its weights, optimiser, step counter, hyperparameters and reward statistics. The
    games are reset with a seed that depends on the step counter. Such files are read with pickle, which can run
    arbitrary code: load only files that you saved.

    Args:
        path: The zip file.
        env: Environments with observations uint8 (s, s, 3), s a multiple of 16, and Discrete actions.
        config: Hyperparameters of a new explorer.
        seed: Random seed.
        device: "auto", "cpu" or "cuda".
        init_from: Zip file of an explorer whose weights initialise a new one.

    Returns:
        The explorer, and the description that `save_agent` stored with it (empty for a new one).

    Raises:
        CheckpointError: A file is damaged or does not fit the environment.
    """
    if not path.exists():
        agent = make_explorer(env, config, seed=seed, device=device)
        if init_from is not None:
            _load_weights(agent, init_from)
        return agent, {}
    try:
        agent = RecurrentPPO.load(path, env=env, device=device)
    except torch.OutOfMemoryError:  # not an error of the file
        raise
    except (ValueError, BadZipFile, EOFError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path} cannot be resumed ({str(error).splitlines()[0]}); remove {path.parent} to start again"
        ) from error
    agent.set_random_seed(int(np.random.SeedSequence([seed, agent.num_timesteps]).generate_state(1)[0] >> 1))
    about = getattr(agent, "about", {})
    set_reward_statistics(env, about.get("reward_statistics", {}))
    return agent, about


def _load_weights(agent: RecurrentPPO, path: Path) -> None:
    """Load the weights of the policy, without the optimiser's state, which belongs to another reward."""
    try:
        weights: Any = load_from_zip_file(path, load_data=False, device=agent.device)[1]["policy"]
        agent.policy.load_state_dict(weights)
    except (ValueError, BadZipFile, EOFError, OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path} holds no explorer for this game with these hyperparameters ({str(error).splitlines()[0]})"
        ) from error
