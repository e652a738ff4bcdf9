"""Checkpoints on the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any

from genie_gym.errors import CheckpointError
from genie_gym.world_model.parts import part_names, read_config

__all__ = ["download_checkpoint", "upload_checkpoint"]

COMMIT = re.compile("[0-9a-f]{40}")


def download_checkpoint(name: str, **options: Any) -> Path:
    """Download a checkpoint and nothing else that its repository holds; returns the folder.

    Args:
        name: "user/model".
        options: Passed to huggingface_hub.snapshot_download (revision, cache_dir, token, local_files_only ...).

    Raises:
        CheckpointError: There is no such model that can be reached, or it is not a checkpoint of genie_gym.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        first = ["config.json", "README.md"]
        folder = Path(snapshot_download(name, **{**options, "allow_patterns": first}))
        files = [*first, *sorted(part_names(folder, read_config(folder)))]
        if COMMIT.fullmatch(folder.name):  # the parts that belong to that config.json
            options = options | {"revision": folder.name}
        return Path(snapshot_download(name, **{**options, "allow_patterns": files}))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{name!r} is neither a folder here nor a model on the hub that can be reached ({type(error).__name__}); "
            "check the spelling and the network, or give the path of a checkpoint folder"
        ) from error


def upload_checkpoint(folder: str | Path, repository: str, **options: Any) -> str:
    """Upload a checkpoint folder as one commit, in place of the checkpoint that the repository holds.

    Args:
        folder: The folder.
        repository: "user/name".
        options: `token` and `private`; the rest is passed to huggingface_hub.HfApi.upload_folder.

    Returns:
        The address of the upload.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=options.pop("token", None))
    api.create_repo(repository, exist_ok=True, private=options.pop("private", None))
    before = [f"{kind}-*.safetensors" for kind in ("model", "contexts", "upscaler")]
    options = {"delete_patterns": before} | options
    return str(api.upload_folder(repo_id=repository, folder_path=str(folder), **options))
