"""RetroAct's published files: where they are, fetching them once, and finding them afterwards."""

import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import GameError
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write

__all__ = ["PLATFORMERS_50", "TABLE", "Published", "fetch", "find_file"]

TIMEOUT = 30  # seconds without an answer
MAX_BYTES = 2**20  # both files together have less than a tenth

_REPOSITORY = "https://raw.githubusercontent.com/insait-institute/GenieRedux"
_FOLDER = "data_generation/annotations"


@dataclass(frozen=True)
class Published:
    """A file that the authors of RetroAct published (MIT licence).

    Attributes:
        title: What it is.
        url: Its address, which names the commit.
        sha256: Checksum of its content.
        name: Its name in `paths.home()`.
    """

    title: str
    url: str
    sha256: str
    name: str

    @property
    def path(self) -> Path:
        """Where `fetch` puts it."""
        return paths.home() / self.name

    def fetch(self) -> Path:
        """Download the file unless it is there; return its path.

        Raises:
            GameError: The address does not answer, or gives another content; nothing is written.
        """
        if self.path.is_file() and _checksum(self.path.read_bytes()) == self.sha256:
            return self.path
        content = self._download()
        if (found := _checksum(content)) != self.sha256:
            raise GameError(
                f"{self.url} gives another file than RetroAct's {self.title}: SHA-256 {found} in place of "
                f"{self.sha256}. Give a file of your own with --file."
            )
        atomic_write(self.path, content)
        return self.path

    def _download(self) -> bytes:
        try:
            with urllib.request.urlopen(self.url, timeout=TIMEOUT) as answer:
                return answer.read(MAX_BYTES)
        except (OSError, ValueError) as error:  # without a network, behind a proxy, of an address that is gone
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise GameError(
                f"Cannot fetch RetroAct's {self.title} from {self.url}: {reason}. Fetch it elsewhere, and "
                f"put it at {self.path}, or name it with --file."
            ) from error


TABLE = Published(
    title="table of 974 games",
    url=f"{_REPOSITORY}/6dd7b4e0a2f5f8a7a5425c440b0bb025da40eb72/{_FOLDER}/RetroAct_v1.4.csv",
    sha256="3c8562e52bc4bb429a7678a708b5c94765d615a900af925e637ae04b771a218e",
    name="retroact.csv",
)
PLATFORMERS_50 = Published(
    title="list of 50 platformers",
    url=f"{_REPOSITORY}/9a835af9c29f79137ff6e69bff99ce799fe39ca7/{_FOLDER}/"
    "RetroAct_v0.1_control_GenieRedux-G-50_sublist.csv",
    sha256="4da44b49a9d2a9b30ff38cd99c0eda84e5abcfd0beda7a739fc092e0c44bfd2b",
    name="retroact-platformers-50.csv",
)


def fetch() -> list[Path]:
    """Download RetroAct's table and the list of Platformers-50 into the data folder; return their paths.

    What is there already is not downloaded again.

    Raises:
        GameError: An address does not answer, or gives another content than was published.
        DataError: The data folder cannot be written.
    """
    return [published.fetch() for published in (TABLE, PLATFORMERS_50)]


def find_file() -> Path | None:
    """Return the user's table: `$GENIE_GYM_RETROACT`, else `retroact.csv` in `paths.home()`, else None.

    Raises:
        GameError: The variable names a file that does not exist.
    """
    if chosen := os.environ.get("GENIE_GYM_RETROACT"):
        if not Path(chosen).is_file():
            raise GameError(f"GENIE_GYM_RETROACT names {chosen}, which is no file. Give RetroAct's CSV or unset it.")
        return Path(chosen)
    return TABLE.path if TABLE.path.is_file() else None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
