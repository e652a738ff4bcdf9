"""Weights of other people's networks: fetched by you, known by their SHA-256, never downloaded in silence."""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from genie_gym import paths
from genie_gym.errors import CheckpointError

__all__ = ["Weights"]


@dataclass(frozen=True)
class Weights:
    """A published file of weights that is not shipped: large, and under a licence of its own.

    Attributes:
        metric: what needs it.
        url: where its publisher keeps it.
        sha256: of its content. No other content is ever unpickled or run.
    """

    metric: str
    url: str
    sha256: str

    def place(self) -> Path:
        """Where it is looked for: `$GENIE_GYM_HOME/metrics` under its published name."""
        return paths.metrics_dir() / self.url.rpartition("/")[2]

    def read(self, path: str | Path | None = None) -> bytes:
        """Its content.

        Args:
            path: the file, anywhere; `place()` by default.

        Raises:
            CheckpointError: it is not there, with the command that fetches it; or it has another content.
        """
        file = Path(path or self.place())
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
