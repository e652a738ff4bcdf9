"""A world model on disk: a folder of a few files that loads without training code and unpickles nothing.

config.json              format and version, game, model sizes, sampling, training metadata, names of the files below
model-*.safetensors      weights of tokenizer and dynamics, and of the latent action model if there is one
contexts-*.safetensors   initial contexts: real frames uint8 (k, c, s, s, 3) and actions int64 (k, c - 1); of a model of
                         many games also the number of each one's game int64 (k,)
upscaler-*.safetensors   weights of the upscaler, if there is one
README.md                the model card
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor, nn

from genie_gym.errors import CheckpointError, ConfigError, first_line
from genie_gym.models.architectures import (
    AnyDynamicsConfig,
    AnyTokenizerConfig,
    dynamics_config,
    tokenizer_config,
    with_architecture,
)
from genie_gym.models.lam import LatentActionConfig, LatentActionModel
from genie_gym.models.upscaler import Upscaler, UpscalerConfig
from genie_gym.utils.device import find_device
from genie_gym.utils.jsonable import from_jsonable
from genie_gym.utils.paths import open_regular
from genie_gym.world_model.actions.action_map import ActionMap
from genie_gym.world_model.actions.vocabulary import KnownGame
from genie_gym.world_model.card import model_card, with_added_sections
from genie_gym.world_model.game import check_game_description
from genie_gym.world_model.hub import download_checkpoint, upload_checkpoint
from genie_gym.world_model.many_games import check_known_games, of_game
from genie_gym.world_model.metadata import TrainingMetadata
from genie_gym.world_model.model import WorldModel
from genie_gym.world_model.parts import (
    FORMAT,
    VERSION,
    Part,
    open_parts,
    read_config,
    read_tensors,
    write_parts,
    writing,
)
from genie_gym.world_model.resolve import hub_name, resolve_checkpoint, wanted_game
from genie_gym.world_model.sampling import SamplingConfig

__all__ = ["FORMAT", "VERSION", "Checkpoint"]

MOST_CONTEXTS = 256 * 2**20  # bytes of the initial contexts, a hundred times what 64x64 pixels need

# What a damaged or hostile config.json can cause between json.loads and a model.
INVALID = (ConfigError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class _Config:
    """What config.json holds, as far as it describes the checkpoint."""

    format: str
    version: int
    game: dict[str, Any]
    tokenizer: dict[str, Any]
    dynamics: dict[str, Any]
    sampling: SamplingConfig
    metadata: TrainingMetadata
    parts: dict[str, Part]
    latent_actions: LatentActionConfig | None = None
    upscaler: UpscalerConfig | None = None
    action_map: ActionMap | None = None
    games: tuple[KnownGame, ...] = ()

    @cached_property
    def sizes(self) -> tuple[AnyTokenizerConfig, AnyDynamicsConfig]:
        """Sizes of tokenizer and dynamics."""
        return tokenizer_config(self.tokenizer), dynamics_config(self.dynamics)

    def __post_init__(self) -> None:
        check_game_description(self.game)
        codes, actions = self.sizes[1].num_actions, len(self.game["actions"])
        if actions != codes:
            raise ValueError(f"{actions} actions, but the model has {codes}")
        for one in self.games:
            check_game_description(one.game)
        check_known_games(self.games, codes)
        if self.action_map:
            check_game_description(self.game | {"actions": self.action_map.actions})
            if not all(0 <= code < codes for code in self.action_map.codes):
                raise ValueError(f"an action map to the codes {self.action_map.codes!r:.60}")


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
        games: The games of a model of many games, whose `game` has the vocabulary as its actions; else none. The
            initial contexts then hold "games" as well, int64 (k,), the number of each one's game.
    """

    model: WorldModel
    game: dict[str, Any]
    initial_contexts: dict[str, Tensor]
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    metadata: TrainingMetadata = field(default_factory=TrainingMetadata)
    upscaler: Upscaler | None = None
    action_map: ActionMap | None = None
    games: tuple[KnownGame, ...] = ()

    def of_game(self, game: str | dict[str, Any]) -> "Checkpoint":
        """Return the model of one game, which shares the tokenizer with this one.

        A game of a model of many games keeps its actions and initial contexts: it predicts what the whole model does
        under the same actions. Any other game has no initial contexts, and dreams from prompts only. Its actions are
        those of the same names, or, where a name is new, begin as the mean of the nearest known ones, see
        `mixture_of_names`.

        Args:
            game: Its name, or its description as in `GameSpec.to_dict`.

        Raises:
            GameError: There is no such game.
        """
        return of_game(self, game)

    def save(self, folder: str | Path) -> None:
        """Write the folder, in place of the checkpoint that it holds: a crash leaves that one or this one, whole.

        What this checkpoint lacks and the one before has is kept if it fits this one: the upscaler if both are of the
        same game, the action map if both have the same latent action model, and sections that were added to the model
        card. To be rid of them, remove the folder first.

        Raises:
            DataError: The disk is full or the folder cannot be written.
            ConfigError: There are no initial contexts: this is a model of many games, of a game that it never saw.
        """
        folder = Path(folder)
        if not len(self.initial_contexts["frames"]):
            raise ConfigError(f"there are no initial contexts of {self.game['name']}; finetune the model on its play")
        with writing(folder) as locked:
            whole, readable = self._completed_from(folder)
            tensors = {"model": save(_weights(whole.model)), "contexts": save(_packed(whole.initial_contexts))}
            if whole.upscaler is not None:
                tensors["upscaler"] = save(_weights(whole.upscaler))
            card = with_added_sections(whole.card(), folder / "README.md")
            write_parts(folder, whole._config(), tensors, card, sweep=locked and readable)

    def _completed_from(self, folder: Path) -> tuple["Checkpoint", bool]:
        """This checkpoint with what it lacks and the one in the folder has; and False if that one is damaged."""
        if not os.path.lexists(folder / "config.json"):
            return self, True
        whole, readable = replace(self), True
        try:
            before = Checkpoint.load(folder)
            if self.action_map is None:
                whole.adopt_action_map(before)
        except CheckpointError as error:
            readable = False
            warnings.warn(
                f"what was in {folder} is replaced, but its files are left there: {error}", RuntimeWarning, stacklevel=3
            )
        if self.upscaler is None and (sound := _read_upscaler(folder, str(self.game.get("name")))):
            whole.upscaler, description = sound
            whole.metadata = replace(self.metadata, upscaler=description)
        return whole, readable

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> "Checkpoint":
        """Load a folder written by `save`.

        Raises:
            CheckpointError: The folder is missing, incomplete, damaged, or of another format or version.
            ConfigError: This machine has no such device.
        """
        folder, target = Path(folder), find_device(str(device))
        with _default_torch_state(), open_parts(folder) as (config, files):
            try:
                loaded = cls._read(config, files)
            except INVALID as error:
                raise CheckpointError(
                    f"the checkpoint {folder} is incomplete or damaged ({first_line(error)}); "
                    "copy it again, or train the game again with: genie-gym train GAME"
                ) from error
        loaded.model.to(target)
        loaded.upscaler = loaded.upscaler and loaded.upscaler.to(target)
        return loaded

    @classmethod
    def _read(cls, plain: dict[str, Any], files: dict[str, BinaryIO]) -> "Checkpoint":
        config: _Config = from_jsonable(_Config, plain, "config.json")
        (tokenizer, dynamics), parts, upscaler = config.sizes, config.parts, None

        def world_model() -> WorldModel:
            latent = LatentActionModel(config.latent_actions) if config.latent_actions else None
            return WorldModel(tokenizer.build(), dynamics.build(), latent)

        model = _filled(world_model, files["model"], parts["model"])
        contexts = read_tensors(files["contexts"], parts["contexts"], 0, MOST_CONTEXTS)
        if sizes := config.upscaler:
            upscaler = _filled(lambda: Upscaler(sizes), files["upscaler"], parts["upscaler"])
        return cls(
            model,
            plain["game"],
            _checked_contexts(contexts, tokenizer.size, len(config.games)),
            config.sampling,
            config.metadata,
            upscaler,
            config.action_map,
            config.games,
        )

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str | torch.device = "cpu", *, game: str | None = None, **download: Any
    ) -> "Checkpoint":
        """Load a checkpoint folder, the weights of a game, or a model of the Hugging Face hub.

        Args:
            name: Folder, name of a game, or model on the hub, such as "hub:user/airstriker".
            device: Device of the weights.
            game: Which game of a model of many games; by default the one that `name` names, else the whole model.
            download: Passed to huggingface_hub.snapshot_download (revision, cache_dir, token, local_files_only ...).

        Raises:
            CheckpointError: There is no such folder, and no such model that can be reached.
            GameError: The name is that of no game, folder or model.
        """
        place = resolve_checkpoint(name)
        on_hub = hub_name(place)
        loaded = cls.load(place if on_hub is None else download_checkpoint(on_hub, **download), device)
        wanted = wanted_game(name, game) if loaded.games else None
        return loaded if wanted in (None, loaded.game["name"]) else loaded.of_game(wanted)

    def push_to_hub(self, repository: str, **options: Any) -> str:
        """Upload the folder as a model repository of the Hugging Face hub. Needs `hf auth login` once.

        Args:
            repository: "user/name".
            options: `token` and `private`; the rest is passed to huggingface_hub.HfApi.upload_folder.

        Returns:
            The address of the upload.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            return upload_checkpoint(folder, repository, **options)

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
        return model_card(self)

    def _config(self) -> dict[str, Any]:
        latent = self.model.latent_actions
        return {
            "game": self.game,
            "tokenizer": with_architecture(self.model.tokenizer.config),
            "dynamics": with_architecture(self.model.dynamics.config),
            "sampling": asdict(self.sampling),
            "metadata": self.metadata.to_dict(),
            **({"latent_actions": asdict(latent.config)} if latent else {}),
            **({"upscaler": asdict(self.upscaler.config)} if self.upscaler else {}),
            **({"action_map": self.action_map.to_dict()} if self.action_map else {}),
            **({"games": [asdict(one) for one in self.games]} if self.games else {}),
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


def _filled(build: Callable[[], Any], file: BinaryIO, part: Part) -> Any:
    """A module with the weights of a part; nothing is allocated for it unless the part has about its size."""
    with torch.device("meta"):
        values = build().state_dict().values()
    size = sum(value.nbytes for value in values)
    weights = read_tensors(file, part, size, size + 2**16 + 1024 * len(values))  # names and shapes in front of values
    module = build()
    module.load_state_dict(weights)
    return module.eval().requires_grad_(False)


def _read_upscaler(folder: Path, game: str) -> tuple[Upscaler, str | None] | None:
    """The upscaler of a game and how it was made, if a folder has one; other parts may be damaged."""
    try:
        config = read_config(folder)
        sizes, part = (
            from_jsonable(UpscalerConfig, config["upscaler"]),
            from_jsonable(Part, config["parts"]["upscaler"]),
        )
        if config["game"]["name"] != game:
            return None
        with open_regular(folder / part.file) as file, _default_torch_state():
            upscaler = _filled(lambda: Upscaler(sizes), file, part)
        return upscaler, from_jsonable(TrainingMetadata, config["metadata"]).upscaler
    except (CheckpointError, OSError, *INVALID):
        return None


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return _packed({name: value.detach().cpu() for name, value in model.state_dict().items()})


def _packed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in tensors.items()}


def _checked_contexts(contexts: dict[str, Tensor], size: int, games: int) -> dict[str, Tensor]:
    frames, actions = contexts["frames"], contexts["actions"]
    k, c = frames.shape[:2]
    shapes = (frames.shape, actions.shape) == ((k, c, size, size, 3), (k, c - 1))
    if not shapes or not k or (frames.dtype, actions.dtype) != (torch.uint8, torch.int64):
        raise ValueError(f"contexts of shapes {tuple(frames.shape)} and {tuple(actions.shape)}")
    if games:
        numbers = contexts["games"]
        if numbers.shape != (k,) or numbers.dtype != torch.int64 or not set(numbers.tolist()) <= set(range(games)):
            raise ValueError(f"contexts of games {numbers!r:.60}")
    return contexts
