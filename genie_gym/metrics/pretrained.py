"""Published weights of pretrained networks: fetched by the user, verified by SHA-256, never downloaded silently."""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from genie_gym.errors import CheckpointError
from genie_gym.utils import paths

__all__ = ["Weights"]


@dataclass(frozen=True)
class Weights:
    """A published file of weights that genie_gym does not ship, as it is large and has its own licence.

    Attributes:
        metric: Name of the metric that needs it.
        url: Address of the published file.
        sha256: Checksum of its content. Content with another checksum is never unpickled or run.
    """

    metric: str
    url: str
    sha256: str

    def path(self) -> Path:
        """Return the default location: `$GENIE_GYM_HOME/metrics` and the published file name."""
        return paths.metrics_dir() / self.url.rpartition("/")[2]

    def read(self, path: str | Path | None = None) -> bytes:
        """Return the verified content of the file.

        Args:
            path: The file; `path()` by default.

        Raises:
            CheckpointError: The file is missing or has another checksum; the message says how to fetch it.
        """
        file = Path(path or self.path())
        fetch = f"curl -fL --create-dirs -o {shlex.quote(str(file))} {self.url}"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"{self.metric} needs a network's weights, which genie_gym does not ship, as {file} "
                f"({error.strerror}); fetch them with: {fetch}"
            ) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise CheckpointError(
                f"{file} is not the file that {self.metric} needs, or is damaged: its SHA-256 is not {self.sha256}; "
                f"fetch it with: {fetch}"
            )
        return content
