"""Collecting episodes of a real game over worker processes, each with its own emulator."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gymnasium as gym

from genie_gym import data
from genie_gym.collection.config import CollectConfig
from genie_gym.collection.policies import POLICIES, Policy, make_policy
from genie_gym.collection.schedule import Schedule
from genie_gym.collection.workers import HIGH_RES_SIZE, Job, WorkerPool
from genie_gym.errors import ConfigError
from genie_gym.utils import paths
from genie_gym.utils.options import make_config
from genie_gym.utils.progress import ProgressDisplay
from genie_gym.world_model.real_game import named_options, real_game
from genie_gym.world_model.resolve import resolve_agent

__all__ = ["CollectReport", "collect"]


@dataclass(frozen=True)
class CollectReport:
    """The result of a collection.

    Attributes:
        game: Name of the game.
        folder: Folder of the dataset.
        episodes: Number of episodes collected in this call.
        steps: Number of steps collected in this call.
        total_episodes: Number of episodes of this policy and seed in the folder, earlier calls included.
        total_steps: Number of steps of this policy and seed in the folder, earlier calls included.
        seconds: Wall time of this call in seconds.
        interrupted: Whether Ctrl-C ended the call before the target was reached.
        skipped: One line for each damaged shard in the folder.
    """

    game: str
    folder: Path
    episodes: int
    steps: int
    total_episodes: int
    total_steps: int
    seconds: float
    interrupted: bool = False
    skipped: tuple[str, ...] = ()

    @property
    def frames_per_second(self) -> float:
        """Agent steps per second, over all workers."""
        return self.steps / self.seconds

    def __str__(self) -> str:
        text = (
            f"{self.episodes:,} episodes, {self.steps:,} steps in {self.seconds:.0f} s "
            f"({self.frames_per_second:,.0f} frames/s); {self.total_steps:,} steps now in {self.folder}"
        )
        return text + ("; interrupted: rerun the same command to resume" if self.interrupted else "")


def collect(
    source: str | Callable[..., gym.Env] | CollectConfig | None = None,
    /,
    *,
    policy: str | Policy | None = None,
    progress: bool = True,
    **options: Any,
) -> CollectReport:
    """Collect episodes until the folder holds the given number of steps or episodes of this policy and seed.

    Which episodes these are, and what is in them, does not depend on the number of workers, nor on kills: see
    `genie_gym.collection.schedule`.

    Resumable: call it again with the same options. Scripts must call it under `if __name__ == "__main__":`, because
    worker processes import the script.

    Args:
        source: Name of the game, or a whole configuration. With the option `game`, a title for your own environment:
            an importable function that returns it, "module:function" or a Gymnasium id; worker processes make it.
        policy: The option `policy` of CollectConfig, or a policy object (see
            `genie_gym.collection.policies.Policy`), which must be picklable and replaces that of the configuration.
        progress: Whether to show how far it is: a bar on a terminal, else a line each ten seconds.
        **options: Fields of CollectConfig by name, in place of a configuration.

    Returns:
        What was collected.

    Raises:
        ConfigError: An option is out of range, the policy is unknown, or the folder holds episodes of this policy and
            seed with another maximum length.
        CheckpointError: The saved agent is missing or damaged.
        GameError: The game is unknown or does not start.
        DataError: The folder cannot be written or holds another game.
    """
    if isinstance(policy, str):
        options["policy"] = policy
    if isinstance(source, CollectConfig):
        config = make_config(CollectConfig, source, options)
    else:
        config = make_config(CollectConfig, None, named_options(source, options))
    job = _make_job(config, None if isinstance(policy, str) else policy)
    _check_lengths(job)
    data.EpisodeWriter(job.folder, job.header).close()  # reports problems with the folder before any emulator starts
    data.pack(job.folder)
    target = _Target(job)
    unit, total, done = target.amounts()
    with ProgressDisplay(job.game.name, total, done, unit=unit, shown=progress) as display:
        interrupted = _run(job, target, _Shown(target, display))
    data.pack(job.folder)
    return target.report(interrupted)


def _make_job(config: CollectConfig, policy: Policy | None) -> Job:
    spec = real_game(config.game, config, config.out)
    name, found = make_policy(policy or _policy_or_agent(spec.name, config.policy), config.epsilon)
    header = {
        "game": spec.to_dict(),
        "actions": spec.meanings,
        "frame_skip": spec.frame_skip,
        "policy": name,
        "seed": config.seed,
        "max_steps": config.max_steps,
        **({"high_res": HIGH_RES_SIZE} if config.high_res else {}),
        **getattr(found, "details", {}),
    }
    return Job(config, spec, Path(config.out or paths.data_dir(spec.name)), header, name, found)


def _policy_or_agent(game: str, name: str) -> str:
    return name if name in POLICIES or not name else str(resolve_agent(game, name))


def _check_lengths(job: Job) -> None:
    """Check that the folder's episodes of this policy and seed, which count, have the maximum length asked for."""
    asked = job.config.max_steps
    for run in data.read_runs(job.folder):
        length = run.get("max_steps", asked)
        if (run.get("policy"), run.get("seed")) == (job.policy_name, job.config.seed) and length != asked:
            raise ConfigError(
                f"{job.folder} has episodes of {job.policy_name} with seed {job.config.seed} of at most {length} "
                f"steps, not {asked}; choose that length (--max-steps), another seed (--seed) or folder (--out)"
            )


def _run(job: Job, target: "_Target", shown: "_Shown") -> bool:
    """Run the workers until the target is reached; return whether Ctrl-C came first."""
    if target.schedule.complete():
        return False
    try:
        with WorkerPool(job, job.config.workers or os.cpu_count() or 1) as pool:
            _drive(pool, target, shown)
    except KeyboardInterrupt:
        return True
    return False


def _drive(pool: WorkerPool, target: "_Target", shown: "_Shown") -> None:
    """Give the workers episodes to play, and tell them which of those to store."""
    schedule, playing = target.schedule, dict[Connection, int]()
    waiting: set[Connection] = set()  # workers with an episode of which it is not known yet whether it belongs
    for worker, kind, number in pool.events():
        if kind == "steps":
            shown.advance(number)
        elif kind == "ready":
            playing.pop(worker, None)
            if (index := schedule.begin()) is not None:
                playing[worker] = index
            pool.send(worker, index)
        elif kind == "played":
            schedule.played(playing[worker], number)
            waiting.add(worker)
        elif kind == "stored":
            schedule.stored(playing.pop(worker))
            target.add(number)
            shown.advance(0)
        for one in [one for one in waiting if schedule.belongs(playing[one]) is not None]:
            pool.send(one, schedule.belongs(playing[one]))
            waiting.discard(one)
        if schedule.complete():
            pool.abandon(playing.keys() - waiting)


class _Target:
    """What the folder holds of this policy and seed, and what is being collected."""

    def __init__(self, job: Job):
        self._job, self.steps_wanted, self.episodes_wanted = job, job.config.target_steps, job.config.episodes
        lengths, self._skipped = data.episode_lengths(job.folder, job.config.high_res)
        prefix = job.episode_id(0).removesuffix("000000")
        numbers = {name: name.removeprefix(prefix) for name in lengths if name.startswith(prefix)}
        stored = {int(number): lengths[name] - 1 for name, number in numbers.items() if number.isdecimal()}
        self.schedule = Schedule(stored, job.config.max_steps, self.steps_wanted, self.episodes_wanted)
        self._old_episodes, self._old_steps = len(stored), sum(stored.values())
        self.episodes, self.steps = self._old_episodes, self._old_steps
        self._started = time.monotonic()

    def add(self, steps: int) -> None:
        """Count an episode of that length that a worker stored."""
        self.episodes, self.steps = self.episodes + 1, self.steps + steps

    def amounts(self) -> tuple[str, int, int]:
        """The unit of the target, how many are wanted in all, and how many are there."""
        if self.episodes_wanted:
            return "episodes", self.episodes_wanted, self.episodes
        return "steps", self.steps_wanted or 0, self.steps

    def report(self, interrupted: bool) -> CollectReport:
        return CollectReport(
            self._job.game.name,
            self._job.folder,
            self.episodes - self._old_episodes,
            self.steps - self._old_steps,
            self.episodes,
            self.steps,
            time.monotonic() - self._started,
            interrupted,
            tuple(self._skipped),
        )


class _Shown:
    """Shows steps or episodes, whichever the target is given in, and frames per second."""

    def __init__(self, target: _Target, display: ProgressDisplay):
        self._target, self._display, self._frames, self._steps = target, display, 0, target.steps
        self._started = time.monotonic()

    def advance(self, steps: int) -> None:
        self._frames += steps
        self._steps += steps
        rate = self._frames / max(time.monotonic() - self._started, 1e-9)
        done = self._target.episodes if self._target.episodes_wanted else self._steps
        self._display.update(done, f"{rate:,.0f} frames/s")
