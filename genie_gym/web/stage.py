"""The stage: at each beat of a world, the dreams of all who play it take one step in one pass.

Everything runs in one event loop. What takes long runs in threads while the loop goes on: the passes in one thread, one
after the other; starts, real games and files in others. A player is changed by the loop only.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import numpy as np

from genie_gym.envs.prompt import Prompt, read_prompt
from genie_gym.errors import ConfigError, GenieGymError
from genie_gym.web.batch import Batch
from genie_gym.web.config import ServeConfig
from genie_gym.web.dream import Dream
from genie_gym.web.player import Begun, Player
from genie_gym.web.protocol import Start, read_play
from genie_gym.web.real_game import RealFrame, RealGame
from genie_gym.web.recording import Recording
from genie_gym.web.worlds import Loaded, World

__all__ = ["Stage"]

MOST_REAL_GAMES = 4  # each takes a process
CHECK_EVERY = 1.0  # seconds between looks at slow pages
CATCH_UP = 0.25  # seconds that a late beat may be behind its clock and still be made up for

Result = TypeVar("Result")
Key = tuple[str, float]  # id of a world, temperature
log = logging.getLogger(__name__)


class Stage:
    """All visitors, and the beat to which their dreams go on.

    Args:
        worlds: Worlds by id.
        config: How many may play, and where recordings go.
    """

    def __init__(self, worlds: dict[str, World], config: ServeConfig):
        self.worlds, self.config = worlds, config
        self.players: list[Player] = []
        self._batches: dict[Key, Batch] = {}
        self._passes = ThreadPoolExecutor(1, "passes")
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()

    # -- Coming and going --------------------------------------------------------------------------------------

    def enter(self) -> Player:
        """Return a new visitor.

        Raises:
            ConfigError: As many play as may.
        """
        if len(self.players) >= self.config.visitors:
            raise ConfigError(f"{len(self.players)} people play here already; try again later")
        self.players.append(player := Player(self.worlds))
        return player

    def leave(self, player: Player) -> None:
        """Forget a visitor; what was being recorded is saved."""
        player.drop("left")
        self.players.remove(player)
        self.end_recording(player)
        if player.begun is not None and player.begun.real is not None:
            self._in_background(asyncio.to_thread(player.begun.real.close))

    def wake(self) -> None:
        """Let the stage look whether there is something to do."""
        self._woken.set()

    async def close(self) -> None:
        """End what runs in threads and processes."""
        for player in list(self.players):
            self.leave(player)
        for task in list(self._tasks):
            with suppress(Exception):
                await task
        self._passes.shutdown(wait=False, cancel_futures=True)

    async def in_a_pass(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Run work on models in the thread of the passes, after what waits there."""
        return await asyncio.get_running_loop().run_in_executor(self._passes, work, *arguments)

    # -- The beat ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Let dreams go on until cancelled."""
        checked = monotonic()
        while True:
            self._woken.clear()
            for player in self.players:
                self._attend(player)
            if monotonic() - checked > CHECK_EVERY:
                checked = monotonic()
                for player in self.players:
                    player.check_progress()
            key, members = self._due()
            wait = CHECK_EVERY if key is None else self._batches[key].due - monotonic()
            if key is None or wait > 0:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), min(wait, CHECK_EVERY))
                continue
            await self._step(self._batches[key], members)

    def _attend(self, player: Player) -> None:
        """Carry out what a visitor asked for since the last beat."""
        if player.starting or player.leaving.done():
            return
        if player.wanted is not None:
            start, player.wanted, player.starting = player.wanted, None, True
            self._in_background(self._start(player, start))
        elif player.back and player.begun is not None:
            player.rewind()
        if player.recorded:
            self.end_recording(player)

    def _due(self) -> tuple[Key | None, list[Player]]:
        """Return the world and temperature whose pass is due first, and who takes part."""
        groups: dict[Key, list[Player]] = {}
        for player in self.players:
            if player.willing and player.begun is not None:
                groups.setdefault((player.begun.world.id, player.next_step.temperature), []).append(player)
        for key in set(self._batches) - self._played():
            del self._batches[key]
        for (world, temperature), members in groups.items():
            if (world, temperature) not in self._batches:
                loaded = members[0].begun.dream.loaded  # type: ignore[union-attr]
                self._batches[world, temperature] = Batch(loaded, temperature)
        if not groups:
            return None, []
        first = min(groups, key=lambda key: self._batches[key].due)
        return first, groups[first]

    def _played(self) -> set[Key]:
        return {
            (player.begun.world.id, player.next_step.temperature) for player in self.players if player.begun is not None
        }

    async def _step(self, batch: Batch, players: list[Player]) -> None:
        """Let some dreams take a step, and the real games beside them."""
        started = monotonic()
        begun = [player.begun for player in players if player.begun is not None]
        dreams, pause = [one.dream for one in begun], 1 / begun[0].world.fps
        batch.due = (batch.due if started - batch.due < CATCH_UP else started) + pause
        steps = [player.next_step for player in players]
        actions = [step.action for step in steps]
        real = asyncio.gather(*(self._real_step(one, step.action) for one, step in zip(begun, steps, strict=True)))
        try:
            drawn = await self.in_a_pass(_pass, batch, dreams, actions)
        except Exception as error:  # whatever it is, others go on
            self._give_up(players, error)
            return
        finally:
            beside = await real
        seconds = monotonic() - started
        for player, step, picture, other in zip(players, steps, drawn, beside, strict=True):
            if isinstance(other, GenieGymError):
                player.complain(other)
                other = player.beside
            player.took(step, picture, other, seconds, len(players))

    async def _real_step(self, begun: Begun, action: int) -> RealFrame | GenieGymError | None:
        """Take a step in the real game, which a rewind of the dream may have left ahead."""
        if begun.real is None:
            return None
        real, taken = begun.real, [step.action for step in begun.dream.taken]
        try:
            if real.steps != len(taken):
                return await asyncio.to_thread(real.replay, [*taken, action])
            return await asyncio.to_thread(real.step, action)
        except GenieGymError as error:
            return error

    def _give_up(self, players: list[Player], error: BaseException) -> None:
        if not isinstance(error, GenieGymError):
            log.error("a step failed", exc_info=error)
        for player in players:
            player.begun = player.recording = None
            player.tell("error", text=f"the dream cannot go on ({type(error).__name__}: {error}); begin another")

    # -- Starts ------------------------------------------------------------------------------------------------

    async def _start(self, player: Player, start: Start) -> None:
        """Carry out a start: load the world, start the real game, begin the dream."""
        self.end_recording(player)
        before = player.begun
        player.tell("starting", world=start.world)
        try:
            begun = await self._begin(player, start, before)
        except Exception as error:
            if not isinstance(error, GenieGymError):
                log.error("a start failed", exc_info=error)
            player.complain(error)
            player.begun, begun = None, before  # type: ignore[assignment]
        else:
            if not player.leaving.done():
                player.begin(begun)
        finally:
            player.starting = False
            self.wake()
        if player.begun is not begun and begun is not None and begun.real is not None:
            await asyncio.to_thread(begun.real.close)

    async def _begin(self, player: Player, start: Start, before: Begun | None) -> Begun:
        world = self.worlds[start.world]
        loaded = await asyncio.to_thread(world.load)
        script = read_play(start.play, len(world.game.actions), world.temperature)
        real = await self._real_game(world, loaded, start, before)
        prompt, beside, picture = None, None, None
        if real is not None:
            prompt, beside = await asyncio.to_thread(_begin_real, real, loaded, start.seed)
        elif start.picture:
            prompt = read_prompt({"prompt": player.picture}, loaded.engine.size, len(world.game.actions))
            picture = prompt.frames[0] if prompt is not None else None
        upscale = start.upscale and world.upscaler
        dream = await self.in_a_pass(Dream.begin, loaded, start.seed, prompt, upscale)
        return Begun(world, dream, start, script, real, beside, picture)

    async def _real_game(self, world: World, loaded: Loaded, start: Start, before: Begun | None) -> RealGame | None:
        """Return the real game for a start: the one that runs already if it fits."""
        running = before.real if before is not None else None
        wanted = world.real if start.real and not start.picture else None
        if running is not None and wanted is not None and before is not None and before.world.id == world.id:
            return running
        if running is not None:
            await asyncio.to_thread(running.close)
        if wanted is None:
            return None
        count = sum(one.begun is not None and one.begun.real is not None for one in self.players)
        if count >= MOST_REAL_GAMES:
            raise ConfigError(f"{count} real games run here already; begin without it")
        scale = loaded.checkpoint.upscaler.config.scale if loaded.checkpoint.upscaler else 1
        return await asyncio.to_thread(RealGame, wanted, loaded.engine.size, scale * loaded.engine.size)

    # -- Recordings --------------------------------------------------------------------------------------------

    def end_recording(self, player: Player) -> None:
        """Save what is being recorded, if anything is."""
        recording, player.recording = player.recording, None
        if recording is not None:
            player.tell("recording", steps=None)
        if recording is not None and recording.actions:
            self._in_background(self._save(player, recording))

    async def _save(self, player: Player, recording: Recording) -> None:
        try:
            folder = await asyncio.to_thread(recording.save, self.config.recordings)
        except GenieGymError as error:
            player.complain(error)
            return
        steps, kind = len(recording.actions), "the real game" if recording.real else "the dream"
        player.tell("recorded", steps=steps, folder=str(folder), text=f"{steps} steps of {kind} saved in {folder}")

    def _in_background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pass(batch: Batch, dreams: list[Dream], actions: list[int]) -> list[Any]:
    for dream in dreams:
        dream.prepare()
    return batch.step([dream.seat for dream in dreams], actions)


def _begin_real(real: RealGame, loaded: Loaded, seed: int) -> tuple[Prompt, RealFrame]:
    """Start the real game, and return what the dream begins from: its first frames, as many as the model takes."""
    idle = [loaded.idle] * (loaded.engine.context - 1)
    frames = real.begin(seed, idle)
    prompt = read_prompt(
        {"prompt": np.stack([one.frame for one in frames]), "prompt_actions": idle},
        loaded.engine.size,
        len(loaded.engine.game.actions),
    )
    assert prompt is not None
    return prompt, frames[-1]
