"""Shared by all tests: a data folder of their own, few threads, and a small untrained world model of the toy game."""

import random
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from genie_gym import games
from genie_gym.models.conv.dynamics import ConvDynamicsConfig
from genie_gym.models.conv.tokenizer import ConvTokenizerConfig
from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.utils import precision
from genie_gym.utils.images import to_model
from genie_gym.world_model import Checkpoint, WorldModel
from tests.ray_nodes import nodes  # noqa: F401  (a fixture)

torch.set_num_threads(1)  # tiny models are not worth sharing out, least of all on a busy machine
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a script's background commands have it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start must hear of Ctrl-C

# Thousands of inputs, or an hour of steps: run with -m long.
LONG = (pytest.mark.slow, pytest.mark.long)

CONV_TOKENIZER = ConvTokenizerConfig(patch=16, codes=16, code_dim=8, encoder_width=8, width=8, fine_width=8, blocks=1)
CONV_DYNAMICS = ConvDynamicsConfig(
    4, codes=16, code_dim=8, side=4, patch=16, dim=16, coarse_dim=16, coarse_blocks=1, shifts=2
)

what_the_hardware_says = precision._multiplies_bfloat16


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """No test touches the user's recordings and weights, or leaves logs behind."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("GENIE_GYM_HOME", str(folder))
    monkeypatch.setenv("SB3_LOGDIR", str(folder / "sb3"))
    return folder


@pytest.fixture(scope="session", autouse=True)
def exact():
    """The precision "auto" is float32 on every machine, as what tests compare with is; others are asked for by name.

    Of the session, so that what a module's tests share is made in it too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "_multiplies_bfloat16", lambda device: False)
        yield


def untrained(game: str = "Toy-Numpy", seed: int = 0, **sizes: int) -> Checkpoint:
    """A checkpoint with random weights that do something: nothing of it is at the zeros training starts from."""
    torch.manual_seed(seed)
    spec = games.find(game)
    shared = {"dim": 16, "heads": 2, "window": 3, **sizes}
    tokenizer = Tokenizer(TokenizerConfig(patch=16, encoder_blocks=1, decoder_blocks=1, codes=16, code_dim=4, **shared))
    dynamics = Dynamics(DynamicsConfig(len(spec.actions), blocks=1, side=4, codes=16, code_dim=4, **shared))
    for parameter in [*tokenizer.parameters(), *dynamics.parameters()]:
        torch.nn.init.normal_(parameter, std=0.3)
    dynamics.adopt_codebook(tokenizer)
    env, rng = games.make(spec.name) if game == "Toy-Numpy" else None, np.random.default_rng(seed)
    frames = rng.integers(0, 256, (6, 4, 64, 64, 3), np.uint8)
    if env is not None:
        frames[:, 0] = np.stack([env.reset(seed=i)[0] for i in range(6)])
    actions = rng.integers(0, len(spec.actions), (6, 3))
    starts = {"frames": torch.from_numpy(frames), "actions": torch.from_numpy(actions)}
    return Checkpoint(WorldModel(tokenizer, dynamics), spec.to_dict(), starts)


def untrained_latent(codes: int = 5) -> Checkpoint:
    """The same of latent actions in place of the game's own."""
    plain = untrained(seed=1)
    torch.manual_seed(1)
    sizes = LatentActionConfig(codes, patch=16, dim=16, heads=2, encoder_blocks=1, decoder_blocks=1, drawing_dim=8)
    config = replace(plain.model.dynamics.config, num_actions=codes)
    tokenizer, dynamics = plain.model.tokenizer, excited(Dynamics(config), 0.3)
    dynamics.adopt_codebook(tokenizer)
    frames = to_model(plain.initial_contexts["frames"])
    latent = chosen_codes(excited(LatentActionModel(sizes)), frames)
    model = WorldModel(tokenizer, dynamics, latent)
    starts = plain.initial_contexts | {"actions": latent.codes(frames)}
    actions = [{"meaning": f"LATENT {i}", "keys": [str(i)]} for i in range(codes)]
    return Checkpoint(model, plain.game | {"actions": actions}, starts)


def untrained_conv() -> Checkpoint:
    """The same of convolutions in place of transformers."""
    spec, env = games.find("Toy-Numpy"), games.make("Toy-Numpy")
    frames = np.stack([[env.reset(seed=i)[0], *(env.step(1)[0] for _ in range(3))] for i in range(6)])
    torch.manual_seed(0)
    tokenizer, dynamics = CONV_TOKENIZER.build(), excited(CONV_DYNAMICS.build(), 0.2)
    tokenizer.prepare(to_model(torch.from_numpy(frames[:, 0])))
    dynamics.adopt_codebook(tokenizer)
    starts = {"frames": torch.from_numpy(frames), "actions": torch.ones(6, 3, dtype=torch.int64)}
    return Checkpoint(WorldModel(tokenizer, dynamics), spec.to_dict(), starts)


@torch.no_grad()
def chosen_codes(model: LatentActionModel, frames: torch.Tensor) -> LatentActionModel:
    """Puts an untrained model's codes where the encodings of some float frames (b, t, 3, s, s) are."""
    found, codes = torch.nn.functional.normalize(model._encodings(frames), dim=-1).flatten(0, 1), model.codebook.codes
    codes.copy_(found[:: len(found) // len(codes)][: len(codes)])
    return model


def excited(module: torch.nn.Module, std: float = 0.2) -> torch.nn.Module:
    """Replaces the zeros that residual branches start with, so that every path carries something; in eval mode."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return module.eval()


def untrained_upscaler() -> Upscaler:
    """One that draws other pictures than bicubic interpolation does."""
    return excited(Upscaler(UpscalerConfig(widths=(4, 8))), 0.1).requires_grad_(False)


def random_state() -> tuple:
    """The state of every global random generator, to compare."""
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tobytes(), *rest), torch.get_rng_state().numpy().tobytes()


def reward_by_numpy(logits: np.ndarray, quantile: float = 0.75) -> np.ndarray:
    """Equations 2 to 4 as they stand in the paper: logits (N, n, k) to (N,)."""
    x = np.exp(logits.astype(np.float64))
    x /= x.sum(-1, keepdims=True)
    u = -2 * np.where(x > 0, x * np.log(np.maximum(x, 1e-300)), 0).sum(-1) / np.log(logits.shape[-1])
    return np.array([row[row >= np.quantile(row, quantile)].mean() for row in u])


@pytest.fixture(scope="session")
def toy_checkpoint(tmp_path_factory) -> str:
    """The folder of an untrained world model of the toy game."""
    folder = tmp_path_factory.mktemp("checkpoint")
    untrained().save(folder)
    return str(folder)


@pytest.fixture(scope="session")
def upscaled_checkpoint(tmp_path_factory) -> str:
    """The same with an upscaler."""
    folder = tmp_path_factory.mktemp("upscaled")
    replace(untrained(), upscaler=untrained_upscaler()).save(folder)
    return str(folder)


@pytest.fixture(scope="session")
def exploring_checkpoint(tmp_path_factory) -> str:
    """One whose dynamics look back far enough for AutoExplore's usual context and horizon."""
    folder = tmp_path_factory.mktemp("exploring")
    untrained(window=6).save(folder)
    return str(folder)


@pytest.fixture(scope="session")
def conv_checkpoint(tmp_path_factory) -> str:
    """The folder of an untrained world model of convolutions."""
    folder = tmp_path_factory.mktemp("conv")
    untrained_conv().save(folder)
    return str(folder)
