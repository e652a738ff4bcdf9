"""Console games through stable-retro, with ROMs in the user's folder rather than in the package."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from genie_gym.errors import GameError, MissingExtraError
from genie_gym.games.spec import GameSpec
from genie_gym.utils import paths

__all__ = ["RetroGame", "import_retro", "rom_path"]


def import_retro() -> ModuleType:
    """Return the stable-retro package with the user's ROM folder registered.

    Registration holds for one process, so every process that starts games calls this.

    Raises:
        MissingExtraError: stable-retro is not installed.
    """
    try:
        import stable_retro
    except ImportError as error:
        raise MissingExtraError("Console games need stable-retro: `pip install genie_gym[retro]`.") from error
    integrations, folder = stable_retro.data.Integrations, paths.roms_dir().resolve()
    # stable-retro cannot list the games of a missing folder, and searches a folder twice if it is added twice.
    if folder.is_dir() and str(folder) not in getattr(integrations, "CUSTOM_PATHS", []):
        integrations.add_custom_path(str(folder))
    return stable_retro


def rom_path(game: str) -> Path | None:
    """Return the ROM file of a game, imported or bundled with stable-retro, without importing the emulator."""
    package = _package()
    if package is None:
        return None
    folders = (paths.roms_dir(), package / "data" / "stable")
    found = (file for folder in folders for file in folder.glob(f"{game}-v0/rom.*"))
    return next((file for file in found if file.suffix != ".sha"), None)


def _package_with_rom(game: GameSpec) -> str:
    """Return how to import the game's ROM from a package that brings it, if there is one."""
    if game.system == "Atari2600":
        return f" (or `genie-gym roms import --ale` for those that ale-py brings; {game.title}-Ale needs none)"
    if game.name == "SuperMarioBros-Nes":
        return " (or `pip install --no-deps gym-super-mario-bros && genie-gym roms import --nes`)"
    if game.name == "SuperMarioBros3-Nes":
        return (
            " (or on Python 3.13 `pip install --no-deps 'gym-super-mario-bros>=9.1' && genie-gym roms import --nes`; "
            "elsewhere `pip download` that wheel and give it as PATH)"
        )
    return ""


@cache
def _package() -> Path | None:
    spec = find_spec("stable_retro")
    return Path(spec.origin).parent if spec and spec.origin else None


class RetroGame(gym.Env[np.ndarray, np.int64]):
    """One console game, frame by frame, with uint8 (height, width, 3) images and the actions of its specification.

    A process can run one emulator only; close it before creating another.

    Args:
        game: Specification of the game.
        random_start: Start episodes at a random savestate, of the specification's if it names some, rather than the
            default one.

    Raises:
        GameError: The ROM is missing, or this process already runs an emulator.
        MissingExtraError: stable-retro is not installed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}
    render_mode = "rgb_array"

    def __init__(self, game: GameSpec, random_start: bool = True):
        self.game = game
        self._random_start = random_start
        self._retro = import_retro()
        self._emulator = self._open()
        self._inttype = self._retro.data.Integrations.CUSTOM
        self._buttons = np.stack([self._mask(action.buttons) for action in game.actions])
        self._default_state = self._emulator.statename.removesuffix(".state")
        self.observation_space = self._emulator.observation_space
        self.action_space = gym.spaces.Discrete(len(game.actions))

    @property
    def states(self) -> list[str]:
        """Names of the savestates from which an episode starts: all but those for two players by default."""
        if self.game.savestates:
            return list(self.game.savestates)
        found = self._retro.data.list_states(f"{self.game.name}-v0", self._inttype)
        return [state for state in found if not state.endswith(".2P")] or found

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Load the savestate `options["state"]`; by default a random one, without random starts the game's default."""
        super().reset(seed=seed)
        state = (options or {}).get("state") or self._draw_state()
        self._load(state)
        image, info = self._emulator.reset()
        return image, {**info, "state": state}

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Run one frame (1/60 s) with the action's buttons held."""
        return self._emulator.step(self._buttons[action])

    def render(self) -> np.ndarray:
        """Return the current image, uint8 (height, width, 3)."""
        return self._emulator.render()

    def memory(self) -> np.ndarray:
        """Return the console's working memory, uint8 (bytes,); 128 bytes on an Atari 2600."""
        return self._emulator.get_ram()

    def snapshot(self) -> bytes:
        """Return the state of the emulator, from which `restore` goes on."""
        return self._emulator.em.get_state()

    def restore(self, snapshot: bytes) -> None:
        """Go on from a state that `snapshot` returned: the same actions lead to the same frames."""
        self._emulator.em.set_state(snapshot)
        self._emulator.data.update_ram()

    def close(self) -> None:
        """Close the emulator, so that the process can run another game."""
        self._emulator.close()

    def _open(self) -> Any:
        if rom_path(self.game.name) is None:
            raise GameError(
                f"No ROM of {self.game.name} in {paths.roms_dir()}. "
                f"Bring it in: `genie-gym roms import PATH`{_package_with_rom(self.game)}."
            )
        try:
            return self._retro.make(
                f"{self.game.name}-v0",
                inttype=self._retro.data.Integrations.CUSTOM,
                use_restricted_actions=self._retro.Actions.ALL,
                render_mode="rgb_array",
            )
        except RuntimeError as error:
            raise GameError(
                f"{self.game.name} did not start: {error}. One process holds one emulator: close() the other game "
                "first, or give each its own process (gymnasium.vector.AsyncVectorEnv)."
            ) from error

    def _mask(self, names: tuple[str, ...]) -> np.ndarray:
        """Return the emulator's button mask, uint8 (buttons,), for names of buttons."""
        present = self._emulator.buttons
        if unknown := [name for name in names if name not in present]:
            raise GameError(f"{self.game.system} has no button {unknown[0]!r}; it has {[b for b in present if b]}.")
        return np.array([button in names for button in present], np.uint8)

    def _draw_state(self) -> str:
        return str(self.np_random.choice(self.states)) if self._random_start else self._default_state

    def _load(self, state: str) -> None:
        known = self._retro.data.list_states(f"{self.game.name}-v0", self._inttype)
        if state not in known:
            raise GameError(f"{self.game.name} has no savestate {state!r}; it has {', '.join(known)}.")
        self._emulator.load_state(state, self._inttype)
