"""One visitor: what the page asked for, what is played, and what is to be sent. It waits for nothing by itself."""

import asyncio
import base64
import json
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import numpy as np

from genie_gym.errors import ConfigError
from genie_gym.utils.validation import short
from genie_gym.web.batch import Drawn, encode_png
from genie_gym.web.dream import Dream
from genie_gym.web.protocol import (
    MOST_STEPS,
    Ack,
    Choose,
    Hold,
    Message,
    Pause,
    Record,
    Rewind,
    Share,
    Start,
    Step,
    Taken,
    pack_frame,
    read_play,
    write_play,
)
from genie_gym.web.real_game import RealFrame, RealGame
from genie_gym.web.recording import LONGEST, Recording
from genie_gym.web.worlds import World

__all__ = ["Begun", "Player"]

MOST_WAITING = 256  # messages that are not sent yet
IN_FLIGHT = 6  # frames that are sent and not drawn yet, before the dream waits for its page
PATIENCE = 15.0  # seconds that a page may take to draw a frame
MOST_SINGLE = 4  # single steps asked for and not taken yet


@dataclass(frozen=True)
class Begun:
    """What a start has led to.

    Attributes:
        world: The world.
        dream: The dream, at its first frame.
        start: What was asked for.
        script: Steps to play again before the visitor plays.
        real: The real game beside it.
        beside: The real game's frame beside the first one.
        picture: The picture it began from, uint8 (s, s, 3).
    """

    world: World
    dream: Dream
    start: Start
    script: list[Taken]
    real: RealGame | None = None
    beside: RealFrame | None = None
    picture: np.ndarray | None = None


@dataclass
class Player:
    """The state of one visitor.

    Attributes:
        worlds: Worlds by id.
        outbox: Messages to send, in order: text or bytes.
        leaving: Is set to the reason when the visitor is to be dropped.
        wanted: A start that was asked for and not carried out yet.
        starting: Whether one is being carried out.
        begun: What is played; None before the first start.
        held: Action that is held.
        temperature: Sampling temperature of the next steps.
        paused: Whether nothing happens.
        single: Single steps that are to be taken while paused.
        back: Steps by which to go back.
        recording: What is being recorded.
        picture: The picture sent last, from which a start may begin.
    """

    worlds: dict[str, World]
    outbox: asyncio.Queue[str | bytes] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    leaving: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    wanted: Start | None = None
    starting: bool = False
    begun: Begun | None = None
    held: int = 0
    temperature: float = 1.0
    paused: bool = False
    single: int = 0
    back: int = 0
    recording: Recording | None = None
    picture: np.ndarray | None = None
    beside: RealFrame | None = None
    _heat: bool = False
    _sent: int = 0
    _drawn: int = 0
    _progress: float = field(default_factory=monotonic)

    # -- What the page says ------------------------------------------------------------------------------------

    def hear(self, message: Message) -> None:
        """Do what the page asks for, or note it for the stage.

        Raises:
            ConfigError: It asks for what there is not.
        """
        match message:
            case Start():
                self._check_start(message)
                self.wanted = message
            case Ack(frame):
                if self._drawn < frame <= self._sent:
                    self._drawn, self._progress = frame, monotonic()
            case Choose():
                self._choose(message)
            case _ if self.begun is None:
                raise ConfigError("nothing is played yet; choose a world")
            case _:
                self._play(message)

    def _play(self, message: Message) -> None:
        match message:
            case Hold(action):
                self._hold(action)
            case Pause(on):
                self.paused, self.single = on, 0
                self.tell("paused", on=on)
            case Step():
                self.paused, self.single = True, min(self.single + 1, MOST_SINGLE)
            case Rewind(steps):
                self.paused, self.single = True, 0
                self.back += steps
            case Record(on):
                self._record(on)
            case Share():
                self._share()

    def _check_start(self, start: Start) -> None:
        world = self.worlds.get(start.world)
        if world is None:
            raise ConfigError(f"there is no world {short(start.world)} here; choose one of the gallery")
        read_play(start.play, len(world.game.actions), world.temperature)
        if start.picture and self.picture is None:
            raise ConfigError("no picture was sent to begin from")

    def _hold(self, action: int) -> None:
        assert self.begun is not None
        actions = self.begun.world.game.meanings
        if action >= len(actions):
            raise ConfigError(f"{self.begun.world.id} has {len(actions)} actions; got {action}")
        if action != self.begun.dream.loaded.idle and self.replaying:
            self.begun = replace(self.begun, script=[])  # the visitor takes over
        self.held = action

    def _choose(self, message: Choose) -> None:
        if message.temperature is not None:
            self.temperature = round(message.temperature, 4)
        if message.heat is not None:
            self._heat = message.heat
        if message.upscale is not None and self.begun is not None:
            start = replace(self.begun.start, upscale=message.upscale)
            self.begun = replace(self.begun, start=start)
        self._set_seat()

    def _set_seat(self) -> None:
        if self.begun is not None:
            seat, start = self.begun.dream.seat, self.begun.start
            seat.heat, seat.upscale = self._heat, start.upscale and self.begun.world.upscaler

    def _share(self) -> None:
        assert self.begun is not None
        taken = self.begun.dream.taken
        if len(taken) > MOST_STEPS:
            raise ConfigError(f"a link holds at most {MOST_STEPS:,} steps; restart and share a shorter dream")
        self.tell("shared", play=write_play(taken), **self._about())

    def _record(self, on: bool) -> None:
        if not on or self.begun is None or self.recording is not None:
            return
        real, dream = self.begun.real, self.begun.dream
        frame = self.beside.frame if self.beside is not None else dream.shown[dream.length].frame
        self.recording = Recording(self.begun.world.game, real is not None, dream.length, [frame])
        self.tell("recording", steps=0)

    # -- What the stage asks -----------------------------------------------------------------------------------

    @property
    def replaying(self) -> bool:
        """Whether steps of a link are played again."""
        return self.begun is not None and self.begun.dream.length < len(self.begun.script)

    @property
    def ended(self) -> bool:
        """Whether the dream is at an end."""
        return self.begun is not None and self.begun.dream.shown[self.begun.dream.length].ended

    @property
    def willing(self) -> bool:
        """Whether a step is to be taken: somebody plays, and has seen most of what was dreamt."""
        busy = self.wanted is not None or self.starting or self.leaving.done()
        still = self.begun is None or self.ended or (self.paused and not self.single)
        return not busy and not still and self._sent - self._drawn < IN_FLIGHT

    @property
    def next_step(self) -> Taken:
        """The step to take now."""
        assert self.begun is not None
        if self.replaying:
            return self.begun.script[self.begun.dream.length]
        return Taken(self.held, self.temperature)

    def begin(self, begun: Begun) -> None:
        """Play what a start has led to."""
        self.begun, self.beside = begun, begun.beside
        self.held, self.paused, self.single, self.back = begun.dream.loaded.idle, False, 0, 0
        asked = begun.start.temperature
        self.temperature = round(begun.world.temperature if asked is None else asked, 4)
        self._set_seat()
        self.tell("started", **self._about())
        self._show(begun.dream.first)

    def took(self, taken: Taken, drawn: Drawn, beside: RealFrame | None, seconds: float, together: int) -> None:
        """Note a step, and send its frame.

        Args:
            taken: The step.
            drawn: The dream's frame.
            beside: The real game's frame.
            seconds: Time that the pass took.
            together: Dreams in the pass.
        """
        assert self.begun is not None
        replayed = self.replaying
        self.begun.dream.took(taken, drawn)
        self.single = max(self.single - 1, 0)
        self.beside = beside
        if self.recording is not None:
            frame, reward, ended = drawn.frame, drawn.reward, drawn.ended
            if beside is not None:
                frame, reward, ended = beside.frame, beside.reward, beside.ended
            self.recording.took(taken.action, frame, reward, ended)
        if replayed and not self.replaying:
            self.paused = True
            self.tell("notice", text="That was the shared dream. Go on from here with any key.")
        self._show(drawn, seconds, together)

    def rewind(self) -> None:
        """Go back as far as was asked for, and send the frame there."""
        assert self.begun is not None
        steps, self.back = self.back, 0
        drawn = self.begun.dream.rewind(steps)
        if self.recording is not None and not self.recording.rewind(self.begun.dream.length):
            self.recording = None
            self.tell("notice", text="The recording was given up: you went back to before it began.")
        self._show(drawn)

    @property
    def recorded(self) -> bool:
        """Whether the recording is at its end."""
        one = self.recording
        return one is not None and (one.terminated or len(one.actions) >= LONGEST or self.ended)

    # -- What is sent ------------------------------------------------------------------------------------------

    def tell(self, kind: str, **content: Any) -> None:
        """Send a text message."""
        self._send(json.dumps({"type": kind, **content}))

    def complain(self, error: BaseException) -> None:
        """Send an error."""
        self.tell("error", text=str(error))

    def drop(self, reason: str) -> None:
        """Let the connection be closed."""
        if not self.leaving.done():
            self.leaving.set_result(reason)

    def check_progress(self) -> None:
        """Drop a visitor whose page has not drawn what it was sent for too long."""
        if self._sent > self._drawn and monotonic() - self._progress > PATIENCE:
            self.drop("this page took too long to show its frames")

    def _about(self) -> dict[str, Any]:
        begun = self.begun
        assert begun is not None
        start = begun.start
        picture = None if begun.picture is None else base64.b64encode(encode_png(begun.picture)).decode()
        return {
            "world": begun.world.id,
            "seed": start.seed,
            "temperature": self.temperature,
            "upscale": start.upscale and begun.world.upscaler,
            "real": begun.real is not None,
            "picture": picture,
            "idle": begun.dream.loaded.idle,
        }

    def _show(self, drawn: Drawn, seconds: float = 0.0, together: int = 1) -> None:
        assert self.begun is not None
        dream, beside = self.begun.dream, self.beside
        if self._sent == self._drawn:
            self._progress = monotonic()
        self._sent += 1
        header = {
            "frame": self._sent,
            "step": dream.length,
            "oldest": dream.oldest,
            "action": dream.taken[-1].action if dream.taken else None,
            "reward": drawn.reward,
            "end": drawn.end,
            "ended": drawn.ended,
            "paused": self.paused,
            "replaying": self.replaying,
            "recorded": None if self.recording is None else len(self.recording.actions),
            "real_ended": beside is not None and beside.ended,
            "ms": round(1000 * seconds, 1),
            "together": together,
        }
        real = b"" if beside is None else encode_png(beside.picture)
        self._send(pack_frame(header, drawn.png, real, drawn.heat))

    def _send(self, message: str | bytes) -> None:
        try:
            self.outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.drop("this page takes its messages too slowly")
