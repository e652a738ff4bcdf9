"""A world model on disk: a folder of a few files that loads without training code and unpickles nothing.

config.json            format and version, game, model sizes, sampling, training metadata, SHA-256 of the files below
model.safetensors      weights of tokenizer and dynamics, and of the latent action model if there is one
contexts.safetensors   initial contexts: real frames uint8 (k, c, s, s, 3) and actions int64 (k, c - 1)
upscaler.safetensors   weights of the upscaler, if there is one
README.md              the model card
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.utils.atomic import atomic_write_all
from genie_gym.utils.device import find_device
from genie_gym.world_model.action_map import ActionMap
from genie_gym.world_model.metadata import TrainingMetadata
from genie_gym.world_model.model import WorldModel
from genie_gym.world_model.resolve import is_hub_id, resolve_checkpoint
from genie_gym.world_model.sampling import SamplingConfig

__all__ = ["FORMAT", "VERSION", "Checkpoint"]

FORMAT = "genie_gym world model"
VERSION = 2  # 1 kept how the model was made as free text
UPSCALER = "upscaler.safetensors"


@dataclass
class Checkpoint:
    """A world model with everything needed to imagine its game.

    Attributes:
        model: The frozen networks.
        game: Description of the game as in `GameSpec.to_dict`: name, actions with meanings and keys, ...
        initial_contexts: {"frames": uint8 (k, c, s, s, 3), "actions": int64 (k, c - 1)}, k real clips of c frames.
        sampling: Default sampling of new frames.
        metadata: How the model was made.
        upscaler: Draws frames at a higher resolution, if one was trained. It depends on the game's frames alone, so it
            serves another model of the same game as well.
        action_map: Latent action of each of the real game's actions, for models of latent actions where it is known.
    """

    model: WorldModel
    game: dict[str, Any]
    initial_contexts: dict[str, Tensor]
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    metadata: TrainingMetadata = field(default_factory=TrainingMetadata)
    upscaler: Upscaler | None = None
    action_map: ActionMap | None = None

    def save(self, folder: str | Path) -> None:
        """Write the folder: all files under temporary names first; config.json, which makes it a checkpoint, last.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        folder = Path(folder)
        tensors = {
            "model.safetensors": save(_weights(self.model)),
            "contexts.safetensors": save(_packed(self.initial_contexts)),
        }
        if self.upscaler is not None:
            tensors[UPSCALER] = save(_weights(self.upscaler))
        config = self._config() | {"sha256": {name: _sha256(content) for name, content in tensors.items()}}
        texts = {"README.md": self.card().encode(), "config.json": json.dumps(config, indent=1).encode()}
        atomic_write_all({folder / name: content for name, content in (tensors | texts).items()})
        if self.upscaler is None:
            (folder / UPSCALER).unlink(missing_ok=True)  # of the checkpoint that was here before

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> "Checkpoint":
        """Load a folder written by `save`.

        Raises:
            CheckpointError: The folder is missing, incomplete, damaged, or of another format or version.
            ConfigError: This machine has no such device.
        """
        folder, target = Path(folder), find_device(str(device))
        config = _read_config(folder)
        with _default_torch_state():
            loaded = cls._read(folder, config)
        loaded.model.to(target)
        loaded.upscaler = loaded.upscaler and loaded.upscaler.to(target)
        return loaded

    @classmethod
    def _read(cls, folder: Path, config: dict[str, Any]) -> "Checkpoint":
        try:
            tokenizer = Tokenizer(TokenizerConfig(**config["tokenizer"]))
            dynamics = Dynamics(DynamicsConfig(**config["dynamics"]))
            latent = config.get("latent_actions")  # only models of latent actions have it
            model = WorldModel(tokenizer, dynamics, latent and LatentActionModel(LatentActionConfig(**latent)))
            model.load_state_dict(_read_tensors(folder / "model.safetensors", config))
            if len(config["game"]["actions"]) != dynamics.config.num_actions:
                raise ValueError(
                    f"{len(config['game']['actions'])} actions, but the model has {dynamics.config.num_actions}"
                )
            contexts = _checked_contexts(_read_tensors(folder / "contexts.safetensors", config), tokenizer.config.size)
            sampling = SamplingConfig(**config["sampling"])
            upscaler = _read_upscaler(folder, config)
            metadata, action_map = TrainingMetadata.from_dict(config["metadata"]), _checked_action_map(config)
            return cls(model, config["game"], contexts, sampling, metadata, upscaler, action_map)
        except (ConfigError, AttributeError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise CheckpointError(
                f"the checkpoint {folder} is incomplete or damaged ({str(error).splitlines()[0]}); "
                "copy it again, or train the game again with: genie-gym train GAME"
            ) from error

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str | torch.device = "cpu", **download: Any) -> "Checkpoint":
        """Load a checkpoint folder, the weights of a game, or a model of the Hugging Face hub.

        Args:
            name: Folder, name of a game, or id of a model on the hub, such as "user/airstriker".
            device: Device of the weights.
            download: Passed to huggingface_hub.snapshot_download (revision, cache_dir, token, local_files_only ...).

        Raises:
            CheckpointError: There is no such folder, and no such model that can be reached.
            GameError: The name is that of no game, folder or model.
        """
        place = resolve_checkpoint(name)
        if not is_hub_id(place):
            return cls.load(place, device)
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            return cls.load(snapshot_download(str(name), **download), device)
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise CheckpointError(
                f"{str(name)!r} is neither a folder here nor a model on the hub that can be reached "
                f"({type(error).__name__}); check the spelling and the network, or give the path of a checkpoint folder"
            ) from error

    def push_to_hub(self, repository: str, **options: Any) -> str:
        """Upload the folder as a model repository of the Hugging Face hub. Needs `hf auth login` once.

        Args:
            repository: "user/name".
            options: `token` and `private`; the rest is passed to huggingface_hub.HfApi.upload_folder.

        Returns:
            The address of the upload.
        """
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi(token=options.pop("token", None))
        api.create_repo(repository, exist_ok=True, private=options.pop("private", None))
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            return str(api.upload_folder(repo_id=repository, folder_path=folder, **options))

    def save_over(self, folder: str | Path) -> None:
        """Save, but keep upscaler and action map of the checkpoint in that folder if they fit this one.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        with suppress(CheckpointError):  # there is none, it cannot be read, or it is of another game
            before = Checkpoint.load(folder)
            self.adopt_upscaler(before)
            self.adopt_action_map(before)
        self.save(folder)

    def adopt_upscaler(self, other: "Checkpoint") -> None:
        """Take over the upscaler of another checkpoint of the same game, if it has one, and its metadata.

        Raises:
            CheckpointError: The other checkpoint is of another game, for which the upscaler was not trained.
        """
        mine, theirs = self.game.get("name"), other.game.get("name")
        if mine != theirs:
            raise CheckpointError(f"an upscaler of {theirs} is of no use to {mine}; give a checkpoint of the same game")
        if other.upscaler is not None:
            self.upscaler = other.upscaler
            self.metadata = replace(self.metadata, upscaler=other.metadata.upscaler)

    def require_action_map(self) -> ActionMap:
        """Return the map from real to latent actions.

        Raises:
            ConfigError: There is none.
        """
        if self.action_map is None:
            raise ConfigError(
                f"the model of {self.game['name']} has no action map; fit one on known actions with: "
                f"genie-gym map-actions {self.game['name']} --data FOLDER"
            )
        return self.action_map

    def adopt_action_map(self, other: "Checkpoint") -> None:
        """Take over the action map of a checkpoint with the very same latent action model, if it has one."""
        mine, theirs = self.model.latent_actions, other.model.latent_actions
        if mine is None or theirs is None or other.action_map is None:
            return
        ours, known = mine.state_dict(), theirs.state_dict()
        if ours.keys() == known.keys() and all(torch.equal(ours[name], known[name]) for name in ours):
            self.action_map = other.action_map

    def card(self) -> str:
        """Return the model card: what the model is, how it was made, its validation metrics."""
        made = "\n".join(f"- {name}: {value}" for name, value in self.metadata.summary())
        scores = "\n".join(f"- {name}: {value:.4g}" for name, value in self.metadata.metrics.items())
        return (
            "---\nlibrary_name: genie_gym\ntags: [world-model, reinforcement-learning, gymnasium]\n---\n\n"
            f"# World model of {self.game['name']}\n\nA {self._kind()} world model, to be stepped as a Gymnasium "
            f"environment by genie_gym.\n\n## How it was made\n\n{made}\n\n## Validation metrics\n\n{scores}\n"
        )

    def _kind(self) -> str:
        return "GenieRedux-G" if self.model.latent_actions is None else "GenieRedux (latent actions)"

    def _config(self) -> dict[str, Any]:
        latent = self.model.latent_actions
        return {
            "format": FORMAT,
            "version": VERSION,
            "game": self.game,
            "tokenizer": asdict(self.model.tokenizer.config),
            "dynamics": asdict(self.model.dynamics.config),
            "sampling": asdict(self.sampling),
            "metadata": self.metadata.to_dict(),
            **({"latent_actions": asdict(latent.config)} if latent else {}),
            **({"upscaler": asdict(self.upscaler.config)} if self.upscaler else {}),
            **({"action_map": self.action_map.to_dict()} if self.action_map else {}),
        }


@contextmanager
def _default_torch_state() -> Iterator[None]:
    """Use torch's own default dtype and device, and leave the user's random state as it is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(before)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is not a checkpoint: it has no config.json; give the folder that `genie-gym train` wrote"
        )
    try:
        config = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy the checkpoint again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{folder} was not made by genie_gym: its config.json does not say format {FORMAT!r}")
    if (version := config.get("version")) != VERSION:
        old = isinstance(version, int) and version < VERSION
        advice = "train the game again with: genie-gym train GAME" if old else "upgrade with: pip install -U genie_gym"
        raise CheckpointError(f"{folder} has version {version}, this genie_gym reads version {VERSION}; {advice}")
    return config


def _read_tensors(path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """Read a file whose checksum is in config.json: safetensors notices a truncated file, but not a flipped bit."""
    try:
        content = path.read_bytes()
        if _sha256(content) != config["sha256"][path.name]:
            raise ValueError("its SHA-256 is not that in config.json")
        return load(content)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is missing or damaged ({error}); copy the checkpoint again, or train the game again "
            "with: genie-gym train GAME"
        ) from error


def _read_upscaler(folder: Path, config: dict[str, Any]) -> Upscaler | None:
    if "upscaler" not in config:
        return None
    upscaler = Upscaler(UpscalerConfig(**config["upscaler"]))
    upscaler.load_state_dict(_read_tensors(folder / UPSCALER, config))
    return upscaler.eval().requires_grad_(False)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return _packed({name: value.detach().cpu() for name, value in model.state_dict().items()})


def _packed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in tensors.items()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checked_contexts(contexts: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    frames, actions = contexts["frames"], contexts["actions"]
    k, c = frames.shape[:2]
    if frames.dtype != torch.uint8 or frames.shape != (k, c, size, size, 3) or actions.shape != (k, c - 1) or not k:
        raise ValueError(f"contexts of shapes {tuple(frames.shape)} and {tuple(actions.shape)}")
    return contexts


def _checked_action_map(config: dict[str, Any]) -> ActionMap | None:
    if "action_map" not in config:
        return None
    action_map = ActionMap.from_dict(config["action_map"])
    if not all(0 <= code < len(config["game"]["actions"]) for code in action_map.codes):
        raise ValueError(f"an action map to the codes {action_map.codes}")
    return action_map
