"""One game of a model: one of the many that it was trained on, or a new one, whose actions begin by their names."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genie_gym.errors import ConfigError, GameError
from genie_gym.games import find
from genie_gym.games.game_names import known_games
from genie_gym.world_model.actions.vocabulary import KnownGame, mixture_of_names, names_of
from genie_gym.world_model.model import WorldModel

if TYPE_CHECKING:
    from genie_gym.world_model.checkpoint import Checkpoint

__all__ = ["check_known_games", "of_game", "refuse_to_replace", "require_game", "require_one_game"]


def check_known_games(games: tuple[KnownGame, ...], vocabulary: int) -> None:
    """Check the games of a model against the size of its vocabulary; their descriptions are checked elsewhere.

    Raises:
        ValueError: Two games have one name; or a game has not one action of the vocabulary for each of its own.
    """
    if len({game.name for game in games}) != len(games):
        raise ValueError("two games of one name")
    for one in games:
        codes = one.actions
        fits = len(codes) == len(one.game["actions"]) == len(set(codes))
        if not fits or not all(0 <= code < vocabulary for code in codes):
            raise ValueError(f"{one.name} has the actions {codes!r:.60} of a vocabulary of {vocabulary}")


def require_one_game(checkpoint: "Checkpoint") -> None:
    """Raise ConfigError if a checkpoint is of many games, of which one must be named."""
    if checkpoint.games:
        names = ", ".join(one.name for one in checkpoint.games)
        raise ConfigError(
            f"{checkpoint.game['name']} is one model of {len(checkpoint.games)} games; say which is meant with game= "
            f"(--game): {names}"
        )


def require_game(checkpoint: "Checkpoint", game: str | None) -> None:
    """Raise ConfigError if a game is named that is not the one of the checkpoint, which is a model of one game."""
    name = checkpoint.game["name"]
    if game is None or _plain(game) in (name.lower(), name.rpartition("-")[0].lower()):
        return
    raise ConfigError(
        f"this is a model of {name} alone, so that it cannot be one of {game}; leave game= (--game) out, or adapt it: "
        f"genie-gym finetune CHECKPOINT --game {game}"
    )


def refuse_to_replace(folder: Path, checkpoint: "Checkpoint") -> None:
    """Raise ConfigError if a folder holds a model of many games, which the model of one would replace."""
    if known_games(folder / "config.json"):
        raise ConfigError(
            f"{folder} holds a model of many games; give --out FOLDER for that of {checkpoint.game['name']} alone"
        )


def of_game(checkpoint: "Checkpoint", game: str | dict[str, Any]) -> "Checkpoint":
    """Return the model of one game, see `Checkpoint.of_game`."""
    size, known = checkpoint.model.dynamics.config.num_actions, _known(checkpoint, game)
    if known is not None:
        mixture = torch.eye(size)[list(known.actions)]
        return _with_actions(checkpoint, known.game, mixture, _contexts(checkpoint, known, size))
    description = dict(find(game).to_dict() if isinstance(game, str) else game)
    nothing = {name: values[:0] for name, values in checkpoint.initial_contexts.items() if name != "games"}
    if checkpoint.model.latent_actions is not None:  # they are the same in any game
        return _with_actions(
            checkpoint, description | {"actions": checkpoint.game["actions"]}, torch.eye(size), nothing
        )
    names = _meanings(checkpoint.game) if checkpoint.games else names_of(checkpoint.game)
    return _with_actions(checkpoint, description, mixture_of_names(names_of(description), names), nothing)


def _known(checkpoint: "Checkpoint", game: str | dict[str, Any]) -> KnownGame | None:
    """The game among those of the model, by its name, or by its title if only one has that."""
    if isinstance(game, dict):
        same = [one for one in checkpoint.games if one.name == game["name"]]
        return same[0] if same and _meanings(same[0].game) == _meanings(game) else None
    wanted = _plain(game)
    exact = [one for one in checkpoint.games if one.name.lower() == wanted]
    titled = [one for one in checkpoint.games if one.name.rpartition("-")[0].lower() == wanted]
    if len(found := exact or titled) > 1:
        raise GameError(f"{game!r} is the title of several games; say which: {', '.join(one.name for one in found)}")
    return found[0] if found else None


def _plain(name: str) -> str:
    return name.removeprefix("GenieRedux/").removesuffix("-v0").lower()


def _meanings(game: dict[str, Any]) -> list[str]:
    return [action["meaning"] for action in game["actions"]]


def _contexts(checkpoint: "Checkpoint", known: KnownGame, size: int) -> dict[str, Tensor]:
    """Its initial contexts, with its own actions in place of the vocabulary's."""
    contexts = checkpoint.initial_contexts
    rows = contexts["games"] == checkpoint.games.index(known)
    own = torch.full((size + 1,), -1)  # the last one is for an unknown action, -1
    own[list(known.actions)] = torch.arange(len(known.actions))
    return {"frames": contexts["frames"][rows], "actions": own[contexts["actions"][rows]]}


def _with_actions(
    checkpoint: "Checkpoint", game: dict[str, Any], mixture: Tensor, contexts: dict[str, Tensor]
) -> "Checkpoint":
    """A checkpoint of a game; tokenizer and latent action model are the same modules."""
    whole = checkpoint.model
    model = WorldModel(whole.tokenizer, whole.dynamics.with_actions(mixture), whole.latent_actions)
    model.run_in(whole.dtype)
    keeps = game["name"] == checkpoint.game["name"]
    upscaler = checkpoint.upscaler if keeps else None
    return replace(
        checkpoint, model=model, game=game, games=(), initial_contexts=contexts, upscaler=upscaler, action_map=None
    )
