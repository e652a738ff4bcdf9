"""The folder of a page: the step, what dreams begin from, the page itself and the runtime."""

import json
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from genie_gym.envs.config import WorldModelEnvConfig
from genie_gym.envs.engine import ImaginationEngine
from genie_gym.errors import ConfigError
from genie_gym.utils.atomic import atomic_write_all, check_writable
from genie_gym.utils.images import to_model
from genie_gym.utils.jsonable import read_json
from genie_gym.utils.progress import ProgressDisplay
from genie_gym.web_export.config import ExportWebConfig
from genie_gym.web_export.runtime import runtime_files
from genie_gym.web_export.step import named_tensors, write_step

__all__ = ["ExportReport", "export_web"]

PAGE = ("index.html", "page.js", "dream.js", "random.js", "style.css")
STEP, WORLD = "step.onnx", "world.json"
FORMAT = "genie_gym web page"


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        folder: The page's folder.
        megabytes: Its size.
    """

    folder: Path
    megabytes: float

    def __str__(self) -> str:
        return (
            f"{self.folder}: a page of {self.megabytes:.1f} MB that dreams in the browser. Put the folder on any web "
            f"server, or look at it here: python -m http.server --directory {self.folder}"
        )


def export_web(config: ExportWebConfig) -> ExportReport:
    """Write a folder that dreams a world model in any browser, without a server's help and without Python.

    Its frames are, up to rounding, those of the float32 model under the same context, seed of the rollout and actions.

    Raises:
        ConfigError: The folder holds something else, or an option is out of range.
        CheckpointError: There is no such checkpoint, or it is damaged.
        MissingExtraError: The extra `export` is not installed.
        GenieGymError: onnxruntime-web could not be fetched.
    """
    _check_folder(config.out)
    env_config = WorldModelEnvConfig(
        game=config.game,
        checkpoint=config.checkpoint,
        device="cpu",
        precision="float32",
        sampling_steps=config.sampling_steps,
        temperature=config.temperature,
        order=config.order,
        min_p=config.min_p,
        real_actions=config.real_actions,
    )
    engine = ImaginationEngine(1, env_config)
    static = files("genie_gym.web_export") / "static"
    contents = {name: (static / name).read_bytes() for name in PAGE}
    with ProgressDisplay("making the page", 3, unit="parts") as display:
        contents |= runtime_files(config.runtime)
        display.update(1, "the runtime is here, the step is written")
        contents[STEP] = _step(engine)
        display.update(2)
        contents[WORLD] = json.dumps(_world(engine, config.contexts)).encode()
    config.out.mkdir(parents=True, exist_ok=True)
    atomic_write_all({config.out / name: content for name, content in contents.items()})
    return ExportReport(config.out, sum(map(len, contents.values())) / 1e6)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but such a page: what is served there becomes public."""
    if folder.is_dir() and any(folder.iterdir()):
        try:
            known = read_json(folder / WORLD)["format"] == FORMAT
        except (ValueError, LookupError, TypeError):
            known = False
        if not known:
            raise ConfigError(f"{folder} holds other files; name an empty folder with --out")
    check_writable(folder)


def _step(engine: ImaginationEngine) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STEP
        write_step(engine.model, engine.sampling, path)
        return path.read_bytes()


def _world(engine: ImaginationEngine, most_contexts: int) -> dict[str, Any]:
    """What the page must know of the game, of the step's state, and of what dreams begin from."""
    contexts = engine.initial_contexts
    chosen = torch.arange(len(contexts["frames"]))[:most_contexts]
    frames = contexts["frames"][chosen, -engine.context :]
    actions = contexts["actions"][chosen, contexts["actions"].shape[1] - engine.context + 1 :]
    with torch.no_grad():
        tokens = engine.model.tokenizer.encode(to_model(frames))
        if engine.model.latent_actions is not None and engine.context > 1:
            actions = torch.where(actions < 0, engine.model.latent_actions.codes(to_model(frames)), actions)
    tensors = named_tensors(engine.model.empty_state(1))
    game = engine.game
    return {
        "format": FORMAT,
        "title": game.title,
        "size": engine.size,
        "frames_per_second": game.fps,
        "actions": [{"meaning": action.meaning, "keys": list(action.keys)} for action in game.actions],
        "idle": game.meanings.index("NOOP") if "NOOP" in game.meanings else 0,
        "model_actions": engine.model_actions.tolist(),
        "random_numbers": engine.model.numbers_per_step(engine.sampling),
        "state": {name: [str(x.dtype).removeprefix("torch."), *x.shape] for name, x in tensors},
        "contexts": [
            {"tokens": t, "actions": [-1, *a]} for t, a in zip(tokens.tolist(), actions.tolist(), strict=True)
        ],
    }
