"""Adding an action map to a checkpoint of latent actions."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.training.config import MapActionsConfig, as_config
from genie_gym.utils.atomic import check_writable
from genie_gym.world_model import ActionMap, Checkpoint
from genie_gym.world_model.actions.fit_action_map import fit_action_map
from genie_gym.world_model.many_games import refuse_to_replace, require_one_game
from genie_gym.world_model.resolve import resolve_checkpoint, resolve_dataset

__all__ = ["ActionMapReport", "map_actions"]


@dataclass(frozen=True)
class ActionMapReport:
    """The action map that was found, and the folder of the checkpoint that has it now."""

    action_map: ActionMap
    checkpoint: Path


def map_actions(checkpoint: str | Path | MapActionsConfig, **options: Any) -> ActionMapReport:
    """Find the latent action that stands for each of the real game's actions, and keep the map in the checkpoint.

    Args:
        checkpoint: A game's name, a checkpoint folder, or the id of a model on the hub; or a whole configuration.
        options: Fields of `MapActionsConfig`, if no configuration is given.

    Raises:
        CheckpointError: There is no such checkpoint.
        DataError: There is no dataset.
        ConfigError: The model has no latent actions, the dataset no recorded ones, or a model on the hub has no folder
            to go to.
    """
    config = as_config(MapActionsConfig, checkpoint, options)
    place = resolve_checkpoint(config.checkpoint)
    if config.out is None and not Path(place).is_dir():
        raise ConfigError(f"{place} is on the hub; say where to keep it with its action map, with --out FOLDER")
    out = Path(config.out or place)
    check_writable(out)
    loaded = Checkpoint.from_pretrained(config.checkpoint, game=config.game)
    require_one_game(loaded)
    refuse_to_replace(out, loaded)
    found = fit_action_map(loaded, resolve_dataset(loaded.game["name"], config.data), config.seed)
    replace(loaded, action_map=found).save(out)
    return ActionMapReport(found, out)
