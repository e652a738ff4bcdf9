"""Opening a study: the one in its file, or a new one. Models are loaded for a new one only."""

import dataclasses
import json
from typing import Any

from genie_gym.errors import ConfigError
from genie_gym.studies.config import StudyConfig
from genie_gym.studies.store import StudyFile
from genie_gym.utils import paths
from genie_gym.utils.jsonable import to_jsonable
from genie_gym.utils.options import make_config

__all__ = ["open_study"]

NOT_OF_THE_STUDY = ("file", "device", "threads")  # they may differ when a study is continued


def open_study(config: StudyConfig | None = None, /, **options: Any) -> StudyFile:
    """Return the study of a file, which is made if it does not exist; that takes a minute or so.

    Args:
        config: All settings in one object.
        options: Fields of `StudyConfig` by name, in place of a configuration.

    Raises:
        ConfigError: The file holds a study of other settings, or models cannot be compared as asked for.
        CheckpointError: There is no such model.
        DataError: There are no episodes, or the file cannot be read or written.
        GameError: There is no such game.
    """
    config = make_config(StudyConfig, config, options)
    if not paths.exists(config.file) and config.models:
        from genie_gym.studies.make import make_study

        return make_study(config, _settings(config))
    study = StudyFile(config.file)
    if config.models and study.plan.settings != (mine := _settings(config)):
        other = next(name for name in mine if study.plan.settings.get(name) != mine[name])
        raise ConfigError(
            f"{config.file} holds a study of another {other} ({study.plan.settings.get(other)!s:.60}); continue it "
            "by --file alone, or begin another with another --file"
        )
    return study


def _settings(config: StudyConfig) -> dict[str, Any]:
    plain = dataclasses.asdict(config) | {"samples": config.count}
    settings = {name: value for name, value in plain.items() if name not in NOT_OF_THE_STUDY}
    return json.loads(json.dumps(to_jsonable(settings)))
