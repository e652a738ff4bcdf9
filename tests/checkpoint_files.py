"""The files of a checkpoint folder, for tests that damage them."""

import hashlib
import json
from pathlib import Path
from typing import Any

KINDS = ("model", "contexts", "upscaler")


def part(folder: Path, kind: str) -> Path:
    """The tensor file of that kind."""
    return folder / read_config(folder)["parts"][kind]["file"]


def read_config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def change_config(folder: Path, **entries: object) -> None:
    (folder / "config.json").write_text(json.dumps(read_config(folder) | entries))


def reseal(folder: Path) -> None:
    """Lets names and checksums say that what is in the files is what was saved."""
    parts = {}
    for kind, named in read_config(folder)["parts"].items():
        file = folder / named["file"]
        checksum = hashlib.sha256(file.read_bytes()).hexdigest()
        parts[kind] = {"file": f"{kind}-{checksum[:16]}.safetensors", "sha256": checksum}
        file.rename(folder / parts[kind]["file"])
    change_config(folder, parts=parts)
