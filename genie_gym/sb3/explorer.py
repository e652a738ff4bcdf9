"""The explorer: the paper's convolutions and LSTM as a policy of sb3-contrib's RecurrentPPO.

Shapes: n pictures, s their side in pixels.
"""

from dataclasses import dataclass
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
from genie_gym.precision import autocast, resolve
from genie_gym.sb3.paid import set_scale

__all__ = ["ExplorerCNN", "ExplorerConfig", "ExplorerPolicy", "make_explorer", "resume_explorer"]


class ExplorerCNN(BaseFeaturesExtractor):
    """Four 3 x 3 convolutions, each halved by max-pooling: float (n, 3, s, s) in [0, 1] to float (n, 64 (s / 16)^2).

    For s = 64 these are the 1,024 features of the paper's agent (section 3.4), whose layers are those of IRIS
    (Micheli et al. 2023).
    """

    WIDTHS = (32, 32, 64, 64)
    PIECE = 32  # pictures a CPU works on at once: what they become fits into its cache

    def __init__(self, observation_space: gym.spaces.Box):
        channels, height, width = observation_space.shape
        super().__init__(observation_space, self.WIDTHS[-1] * (height // 16) * (width // 16))
        stages = (
            nn.Sequential(nn.Conv2d(inside, outside, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())
            for inside, outside in pairwise((channels, *self.WIDTHS))
        )
        self.stages = nn.Sequential(*stages, nn.Flatten())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        pictures = (2 * observations - 1).contiguous(memory_format=torch.channels_last)
        if pictures.is_cuda:
            return self.stages(pictures)
        # In small pieces with colours last, a CPU trains four times faster than on a whole batch with colours first,
        # and with AMX twice as fast again in bfloat16. The LSTM stays in float32, where its kernel is faster.
        with autocast(resolve("auto", pictures.device), pictures.device):
            features = torch.cat([self.stages(part) for part in pictures.split(self.PIECE)])
        return features.float()


class ExplorerPolicy(RecurrentActorCriticCnnPolicy):
    """sb3-contrib's policy of convolutions and LSTM, whose LSTM takes a whole sequence in one call.

    sb3-contrib steps through all sequences of a batch one by one as soon as an episode begins in one of them, which on
    a CPU takes many times longer. Its buffer cuts sequences where episodes begin, so only their first step can be one.
    """

    @staticmethod  # sb3-contrib annotates one tensor too few
    def _process_sequence(  # type: ignore[override]
        features: torch.Tensor,
        lstm_states: tuple[torch.Tensor, torch.Tensor],
        episode_starts: torch.Tensor,
        lstm: nn.LSTM,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Features (q * t, f) of q sequences, states (layers, q, units) twice, starts (q * t,) to (q * t, units)."""
        hidden, cell = lstm_states
        starts = rearrange(episode_starts, "(q t) -> t q", q=hidden.shape[1])
        if starts[1:].any():
            stepwise: Any = RecurrentActorCriticCnnPolicy._process_sequence
            return stepwise(features, lstm_states, episode_starts, lstm)
        kept = rearrange(1 - starts[0], "q -> 1 q 1")
        output, after = lstm(rearrange(features, "(q t) f -> t q f", q=hidden.shape[1]), (kept * hidden, kept * cell))
        return rearrange(output, "t q f -> (q t) f"), after


@dataclass(frozen=True)
class ExplorerConfig:
    """How the explorer learns; the defaults are for some 10^5 steps on a few cores.

    Attributes:
        lr: of Adam; the paper's 1e-4 is for many more updates.
        steps: of each environment between two updates.
        batch: steps in one minibatch; the LSTM walks through it time by time whatever its width, so small ones cost.
        epochs: passes over the steps of an update.
        gamma, gae_lambda: discount and trace of the advantages, both the paper's.
        entropy: weight of the policy's entropy; ten times the paper's, whose agent sees far more steps.
        lstm: units of the LSTM, the paper's 512.
    """

    lr: float = 1e-3
    steps: int = 128
    batch: int = 256
    epochs: int = 3
    gamma: float = 0.995
    gae_lambda: float = 0.95
    entropy: float = 0.01
    lstm: int = 512


def make_explorer(
    env: VecEnv, config: ExplorerConfig | None = None, *, seed: int = 0, device: str = "auto"
) -> RecurrentPPO:
    """An untrained explorer for a vector of games; `learn` trains it on whatever reward `env` pays.

    Args:
        env: uint8 (s, s, 3) pictures with s a multiple of 16, Discrete actions.
        seed: of the weights, the actions and the environments.
        device: "auto", "cpu" or "cuda".
    """
    chosen = config or ExplorerConfig()
    policy: dict[str, Any] = {
        "features_extractor_class": ExplorerCNN,
        "lstm_hidden_size": chosen.lstm,
        "net_arch": [],  # actor and critic are linear in the LSTM's output
        # Actor and critic share the LSTM's input but not the LSTM: where they share it, sb3-contrib cuts the critic's
        # gradient, and the convolutions would learn from the actor alone.
        "enable_critic_lstm": True,
    }
    return RecurrentPPO(
        ExplorerPolicy,
        env,
        learning_rate=chosen.lr,
        n_steps=chosen.steps,
        batch_size=chosen.batch,
        n_epochs=chosen.epochs,
        gamma=chosen.gamma,
        gae_lambda=chosen.gae_lambda,
        ent_coef=chosen.entropy,
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
    begin_with: Path | None = None,
) -> tuple[RecurrentPPO, dict[str, Any]]:
    """The explorer saved at `path`, or a new one where there is none, with the weights of the one at `begin_with`.

    It goes on with the weights, the optimiser, the step counter and the scale of the reward; the games start anew, from
    places that depend on the step. The settings are those it began with, `config` is for a new one.

    Returns:
        The explorer and what `save_agent` noted with it; nothing for a new one.

    Raises:
        CheckpointError: a file is damaged or does not fit the environment.

    The files are read with pickle: load only those that you saved.
    """
    if not path.exists():
        agent = make_explorer(env, config, seed=seed, device=device)
        if begin_with is not None:
            _take_weights(agent, begin_with)
        return agent, {}
    try:
        agent = RecurrentPPO.load(path, env=env, device=device)
    except torch.OutOfMemoryError:  # says nothing of the file
        raise
    except (ValueError, BadZipFile, EOFError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path} cannot be gone on with ({str(error).splitlines()[0]}); remove {path.parent} to start again"
        ) from error
    agent.set_random_seed(int(np.random.SeedSequence([seed, agent.num_timesteps]).generate_state(1)[0] >> 1))
    about = getattr(agent, "about", {})
    set_scale(env, about.get("scale", {}))
    return agent, about


def _take_weights(agent: RecurrentPPO, path: Path) -> None:
    """Those of the policy alone: the optimiser's moments belong to another reward."""
    try:
        weights: Any = load_from_zip_file(path, load_data=False, device=agent.device)[1]["policy"]
        agent.policy.load_state_dict(weights)
    except (ValueError, BadZipFile, EOFError, OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{path} holds no explorer of this game and size to begin with ({str(error).splitlines()[0]})"
        ) from error
