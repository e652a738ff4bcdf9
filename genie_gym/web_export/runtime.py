"""onnxruntime-web, which runs the step in a browser: the few files of its npm package that a page needs."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from genie_gym.errors import ConfigError, GenieGymError, first_line
from genie_gym.utils import paths
from genie_gym.utils.validation import short

__all__ = ["FILES", "PACKAGE", "runtime_files"]

PACKAGE = "onnxruntime-web-1.30.0.tgz"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LARGEST = 2**27  # bytes of the package; it has 30 million
SECONDS = 300  # that npm may take
ADVICE = "type: npm pack onnxruntime-web@1.30.0, on any machine, and name the file with --runtime"


def runtime_files(package: Path | None) -> dict[str, bytes]:
    """Return the files by name.

    Args:
        package: What `npm pack` saved; None lets npm fetch it.

    Raises:
        ConfigError: The file is not that package.
        GenieGymError: npm is not installed, or fetched nothing.
    """
    if package is not None:
        return _unpacked(package)
    with tempfile.TemporaryDirectory() as folder:
        return _unpacked(_fetched(Path(folder)))


def _fetched(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise GenieGymError(f"npm, which fetches onnxruntime-web, is not installed; install Node.js, or {ADVICE}")
    command = [npm, "pack", "--silent", PACKAGE.removesuffix(".tgz").replace("-web-", "-web@")]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GenieGymError(f"npm fetched no onnxruntime-web ({first_line(error)}); {ADVICE}") from error
    if done.returncode or not (folder / PACKAGE).is_file():
        why = short((done.stderr or done.stdout).strip()[-200:])
        raise GenieGymError(f"npm fetched no onnxruntime-web ({why}); {ADVICE}")
    return folder / PACKAGE


def _unpacked(package: Path) -> dict[str, bytes]:
    try:
        content = paths.read_regular(package, LARGEST)
    except OSError as error:
        raise ConfigError(f"{package} cannot be read ({error.strerror}); {ADVICE}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ConfigError(f"{package} is not the {PACKAGE} that pages are tested with; {ADVICE}")
    with tarfile.open(package) as archive:
        members = (archive.extractfile(f"package/dist/{name}") for name in FILES)
        return {name: member.read() for name, member in zip(FILES, members, strict=True) if member is not None}
