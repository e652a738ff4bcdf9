"""A world model on disk: a folder of a few files that loads with no training code and unpickles nothing.

config.json            format and version, the game, sizes, how to sample, provenance, SHA-256 of those below
model.safetensors      weights of tokenizer and dynamics, and of the latent action model if there is one
starts.safetensors     frames uint8 (k, c, s, s, 3) and actions int64 (k, c - 1) of real play, to begin dreams from
upscaler.safetensors   weights of the upscaler, if there is one
README.md              the model card
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from genie_gym.devices import find_device
from genie_gym.errors import CheckpointError, ConfigError
from genie_gym.files import write_all_aside
from genie_gym.models.dynamics import Dynamics, DynamicsConfig
from genie_gym.models.latent_actions import LatentActionConfig, LatentActionModel
from genie_gym.models.tokenizer import Tokenizer, TokenizerConfig
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.world_model.buttons import ButtonMap
from genie_gym.world_model.world_model import Sampling, WorldModel

__all__ = ["FORMAT", "VERSION", "Checkpoint"]

FORMAT = "genie_gym world model"
VERSION = 1
UPSCALER = "upscaler.safetensors"


@dataclass
class Checkpoint:
    """A world model with all that is needed to dream of its game.

    Attributes:
        model: the frozen networks.
        game: the game's plain description (name, actions with meanings and keys, ...).
        starts: {"frames": uint8 (k, c, s, s, 3), "actions": int64 (k, c - 1)}, pieces of real play.
        sampling: how its frames are drawn unless said otherwise.
        provenance: plain values: data, steps, minutes, commit, metrics.
        upscaler: draws frames in finer detail, where one was fitted. It knows the pictures of the game alone, and
            serves another model of the same game as well.
        buttons: of a model of latent actions, which of them stand for the real game's buttons, where that is known.
    """

    model: WorldModel
    game: dict[str, Any]
    starts: dict[str, Tensor]
    sampling: Sampling = field(default_factory=Sampling)
    provenance: dict[str, Any] = field(default_factory=dict)
    upscaler: Upscaler | None = None
    buttons: ButtonMap | None = None

    def save(self, folder: str | Path) -> None:
        """Writes the folder: all files aside, then each is renamed, config.json last, as it makes it a checkpoint.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        folder = Path(folder)
        tensors = {"model.safetensors": save(_weights(self.model)), "starts.safetensors": save(_packed(self.starts))}
        if self.upscaler is not None:
            tensors[UPSCALER] = save(_weights(self.upscaler))
        config = self._config() | {"sha256": {name: _sha256(content) for name, content in tensors.items()}}
        texts = {"README.md": self.card().encode(), "config.json": json.dumps(config, indent=1).encode()}
        write_all_aside({folder / name: content for name, content in (tensors | texts).items()})
        if self.upscaler is None:
            (folder / UPSCALER).unlink(missing_ok=True)  # of what lay here before

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> "Checkpoint":
        """Reads a folder written by `save`.

        Raises:
            CheckpointError: the folder is missing, incomplete, damaged, or of another format or a newer version.
            ConfigError: this machine has no such device.
        """
        folder, place = Path(folder), find_device(str(device))
        config = _read_config(folder)
        with _own_defaults():
            loaded = cls._read(folder, config)
        loaded.model.to(place)
        loaded.upscaler = loaded.upscaler and loaded.upscaler.to(place)
        return loaded

    @classmethod
    def _read(cls, folder: Path, config: dict[str, Any]) -> "Checkpoint":
        try:
            tokenizer = Tokenizer(TokenizerConfig(**config["tokenizer"]))
            dynamics = Dynamics(DynamicsConfig(**config["dynamics"]))
            latent = config.get("latent_actions")  # only models of latent actions have it
            model = WorldModel(tokenizer, dynamics, latent and LatentActionModel(LatentActionConfig(**latent)))
            model.load_state_dict(_read_tensors(folder / "model.safetensors", config))
            if len(config["game"]["actions"]) != dynamics.config.actions:
                raise ValueError(
                    f"{len(config['game']['actions'])} actions, of which the model knows {dynamics.config.actions}"
                )
            starts = _checked_starts(_read_tensors(folder / "starts.safetensors", config), tokenizer.config.size)
            sampling = Sampling(**config["sampling"])
            upscaler = _read_upscaler(folder, config)
            provenance, buttons = dict(config["provenance"]), _checked_buttons(config)
            return cls(model, config["game"], starts, sampling, provenance, upscaler, buttons)
        except (ConfigError, KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise CheckpointError(
                f"the checkpoint {folder} is incomplete or damaged ({str(error).splitlines()[0]}); "
                "copy it again, or fit the game again with: genie-gym fit GAME"
            ) from error

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str | torch.device = "cpu", **download: Any) -> "Checkpoint":
        """Loads a folder, or a model repository of the Hugging Face hub such as "user/airstriker".

        Args:
            name: a folder if it exists, else the repository's id.
            download: passed to huggingface_hub.snapshot_download (revision, cache_dir, token, local_files_only ...).

        Raises:
            CheckpointError: neither a checkpoint folder nor a repository that can be reached.
        """
        if Path(name).exists():
            return cls.load(name, device)
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
        """Uploads the folder as a model repository ("user/name"); returns its address. Needs `hf auth login` once."""
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi(token=options.pop("token", None))
        api.create_repo(repository, exist_ok=True, private=options.pop("private", None))
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            return str(api.upload_folder(repo_id=repository, folder_path=folder, **options))

    def save_over(self, folder: str | Path) -> None:
        """As `save`, but keeps upscaler and buttons of the checkpoint that lies there, where they serve this one too.

        Raises:
            DataError: the disk is full or the folder cannot be written.
        """
        with suppress(CheckpointError):  # none lies there, none that can be read, or one of another game
            before = Checkpoint.load(folder)
            self.adopt_upscaler(before)
            self.adopt_buttons(before)
        self.save(folder)

    def adopt_upscaler(self, other: "Checkpoint") -> None:
        """Takes over the upscaler of another checkpoint of the same game, if it has one, and what is told of it.

        Raises:
            CheckpointError: the other is of another game, which its upscaler has never seen.
        """
        mine, theirs = self.game.get("name"), other.game.get("name")
        if mine != theirs:
            raise CheckpointError(f"an upscaler of {theirs} is of no use to {mine}; give a checkpoint of the same game")
        if other.upscaler is not None:
            self.upscaler = other.upscaler
            self.provenance = {**self.provenance, "upscaler": other.provenance.get("upscaler", "unknown")}

    def find_buttons(self) -> ButtonMap:
        """The map from buttons to latent actions.

        Raises:
            ConfigError: none is known.
        """
        if self.buttons is None:
            raise ConfigError(
                f"the model of {self.game['name']} knows no buttons; find them in play whose actions are known with: "
                f"genie-gym map-buttons {self.game['name']} --data FOLDER"
            )
        return self.buttons

    def adopt_buttons(self, other: "Checkpoint") -> None:
        """Takes over the buttons of a checkpoint whose latent actions are the same, weight by weight, if it has any."""
        mine, theirs = self.model.latent_actions, other.model.latent_actions
        if mine is None or theirs is None or other.buttons is None:
            return
        ours, known = mine.state_dict(), theirs.state_dict()
        if ours.keys() == known.keys() and all(torch.equal(ours[name], known[name]) for name in ours):
            self.buttons = other.buttons

    def card(self) -> str:
        """The model card: what it is, how it was made, what it scores."""
        made = "\n".join(f"- {key}: {value}" for key, value in self.provenance.items() if not isinstance(value, dict))
        scores = "\n".join(f"- {key}: {value}" for key, value in self.provenance.get("metrics", {}).items())
        return (
            "---\nlibrary_name: genie_gym\ntags: [world-model, reinforcement-learning, gymnasium]\n---\n\n"
            f"# World model of {self.game['name']}\n\nA {self._kind()} world model, to be stepped as a Gymnasium "
            f"environment by genie_gym.\n\n## How it was made\n\n{made}\n\n## Figures\n\n{scores}\n"
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
            "provenance": self.provenance,
            **({"latent_actions": asdict(latent.config)} if latent else {}),
            **({"upscaler": asdict(self.upscaler.config)} if self.upscaler else {}),
            **({"buttons": self.buttons.to_dict()} if self.buttons else {}),
        }


@contextmanager
def _own_defaults() -> Iterator[None]:
    """Whatever torch's default dtype and device are; the user's random numbers are not spent on weights to be read."""
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
            f"{folder} is not a checkpoint: it has no config.json; give the folder that `genie-gym fit` wrote"
        )
    try:
        config = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy the checkpoint again") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{folder} was not made by genie_gym: its config.json does not say format {FORMAT!r}")
    if config.get("version") != VERSION:
        raise CheckpointError(
            f"{folder} has version {config.get('version')}, this genie_gym reads version {VERSION}; "
            "upgrade with: pip install -U genie_gym"
        )
    return config


def _read_tensors(path: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """safetensors notices a file that was cut, but not a flipped bit in a weight: hence the checksums."""
    try:
        content = path.read_bytes()
        if _sha256(content) != config["sha256"][path.name]:
            raise ValueError("its SHA-256 is not that in config.json")
        return load(content)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is missing or damaged ({error}); copy the checkpoint again, or fit the game again "
            "with: genie-gym fit GAME"
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


def _checked_starts(starts: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    frames, actions = starts["frames"], starts["actions"]
    k, c = frames.shape[:2]
    if frames.dtype != torch.uint8 or frames.shape != (k, c, size, size, 3) or actions.shape != (k, c - 1) or not k:
        raise ValueError(f"starts of shapes {tuple(frames.shape)} and {tuple(actions.shape)}")
    return starts


def _checked_buttons(config: dict[str, Any]) -> ButtonMap | None:
    if "buttons" not in config:
        return None
    buttons = ButtonMap(**config["buttons"])
    if not all(0 <= code < len(config["game"]["actions"]) for code in buttons.codes):
        raise ValueError(f"a button map to the codes {buttons.codes}")
    return buttons
