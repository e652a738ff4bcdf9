"""Collecting episodes of a real game over worker processes, each with its own emulator."""

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from genie_gym import data, games, paths
from genie_gym.checks import at_least, check_seed
from genie_gym.errors import ConfigError
from genie_gym.pipeline.agent_policy import own_agent
from genie_gym.pipeline.policies import POLICIES, Policy, make_policy
from genie_gym.pipeline.workers import Crew, Job

__all__ = ["LARGE", "CollectReport", "collect"]

LARGE = 256  # side of the finer pictures, as the paper's upscaler draws them


@dataclass(frozen=True)
class CollectReport:
    """What a collection brought.

    Attributes:
        folder: where the episodes are.
        episodes, steps: new in this call.
        total_episodes, total_steps: of this policy and seed in the folder, earlier calls included.
        seconds: wall time of this call.
        interrupted: Ctrl-C ended it before the target.
        skipped: one line for each torn shard met in the folder.
    """

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
        """Agent steps a second, over all workers."""
        return self.steps / self.seconds

    def __str__(self) -> str:
        text = (
            f"{self.episodes:,} episodes, {self.steps:,} steps in {self.seconds:.0f} s "
            f"({self.frames_per_second:,.0f} frames/s); {self.total_steps:,} steps now in {self.folder}"
        )
        return text + ("; interrupted: the same command goes on from here" if self.interrupted else "")


def collect(
    game: str,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    policy: str | Policy = "random",
    random_share: float = 0.0,
    max_steps: int = 1000,
    large: bool = False,
    progress: bool = True,
) -> CollectReport:
    """Plays a game until the folder holds so many steps or episodes of this policy and seed; a second call goes on.

    Args:
        game: canonical name, "Airstriker-Genesis".
        steps, episodes: the target, one of the two; the last episodes are played to their end, so `steps` is passed.
        workers: processes, one emulator in each; as many as there are cores by default.
        out: folder of the recording; the game's own folder in the user's data by default.
        seed: episode i is determined by (seed, i) and the policy.
        policy: "random", "sticky", the name of an agent that `explore` trained on this game ("autoexplore-0"), the path
            of a saved one (only one that you saved yourself, see `genie_gym.pipeline.agent_policy`), or a callable as
            in `genie_gym.pipeline.policies.Policy` (it must pickle).
        random_share: of its actions replaced by random ones, from 0 to 1.
        max_steps: an episode is truncated after so many actions.
        large: keep each frame a second time as 256x256 pixels, for an upscaler; takes some ten times the room. Episodes
            that are there without are played again, and replaced by the same with.
        progress: shows a bar with the time left and frames/s.

    Raises:
        ConfigError: an option is out of range, the policy is unknown, or the folder has play of it with this seed in
            episodes of another length.
        CheckpointError: the saved agent is missing or damaged.
        GameError: the game is unknown or does not start.
        DataError: the folder cannot be written or holds another game.

    Scripts must call it under `if __name__ == "__main__":`, because the worker processes import the script.
    """
    at_least(1, steps=steps, episodes=episodes, workers=workers, max_steps=max_steps)
    check_seed(seed)
    if (steps is None) == (episodes is None):
        raise ConfigError(f"give either steps or episodes as the target, got steps={steps} and episodes={episodes}")
    if isinstance(policy, str) and policy and policy not in POLICIES:
        policy = str(own_agent(games.find(game).name, policy))
    job = _make_job(game, out, seed, make_policy(policy, random_share), max_steps, large)
    _check_lengths(job)
    data.RecordingWriter(job.folder, job.header).close()  # complains about the folder before any emulator starts
    data.pack(job.folder)
    count = _Count(job, steps, episodes)
    with _Bar(count, shown=progress) as bar:
        interrupted = _run(job, count, bar, workers or os.cpu_count() or 1)
    data.pack(job.folder)
    return count.report(interrupted)


def _make_job(
    game: str, out: str | Path | None, seed: int, named: tuple[str, Policy], max_steps: int, large: bool
) -> Job:
    spec = games.find(game)
    name, policy = named
    header = {
        "game": spec.to_dict(),
        "actions": spec.meanings,
        "frame_skip": spec.frame_skip,
        "policy": name,
        "seed": seed,
        "max_steps": max_steps,
        **({"large": LARGE} if large else {}),
        **getattr(policy, "details", {}),
    }
    folder = Path(out or paths.data_dir(spec.name))
    return Job(spec.name, folder, header, name, policy, seed, max_steps, LARGE if large else None)


def _check_lengths(job: Job) -> None:
    """Whether the folder's episodes of this policy and seed, which would be counted, are as long as asked for now."""
    for run in data.read_runs(job.folder):
        theirs = run.get("max_steps", job.max_steps)
        if (run.get("policy"), run.get("seed")) == (job.policy_name, job.seed) and theirs != job.max_steps:
            raise ConfigError(
                f"{job.folder} has play of {job.policy_name} with seed {job.seed} in episodes of at most {theirs} "
                f"steps, not {job.max_steps}; choose that length (--max-steps), another seed (--seed) or folder (--out)"
            )


def _run(job: Job, count: "_Count", bar: "_Bar", workers: int) -> bool:
    """Lets the crew play until the target is reached; True where Ctrl-C came first."""
    if count.reached():
        return False
    try:
        with Crew(job, workers) as crew:
            for worker, kind, number in crew.events():
                if kind == "steps":
                    bar.advance(number)
                elif kind == "ready":
                    count.add(number)
                    bar.advance(0)
                    crew.order(worker, count.next_index())
    except KeyboardInterrupt:
        return True
    return False


class _Count:
    """What this policy and seed have in the folder, what is being played, and what to play next."""

    def __init__(self, job: Job, steps: int | None, episodes: int | None):
        lengths, self._skipped = data.episode_lengths(job.folder, job.large is not None)
        own = job.episode_id(0).removesuffix("000000")
        mine = {name: length for name, length in lengths.items() if name.startswith(own)}
        self._job, self.target_steps, self.target_episodes = job, steps, episodes
        self._old_episodes, self._old_steps = len(mine), sum(mine.values()) - len(mine)
        self.episodes, self.steps, self._playing = self._old_episodes, self._old_steps, 0
        self._indices = (index for index in itertools.count() if job.episode_id(index) not in mine)
        self._started = time.monotonic()

    def reached(self) -> bool:
        if self.target_steps is not None:
            return self.steps >= self.target_steps
        return self.episodes + self._playing >= (self.target_episodes or 0)

    def next_index(self) -> int | None:
        """The next episode to play, None where the target is reached."""
        if self.reached():
            return None
        self._playing += 1
        return next(self._indices)

    def add(self, steps: int) -> None:
        """Notes that a worker stored an episode of so many steps; 0 means that it only just started."""
        if steps:
            self.episodes, self.steps, self._playing = self.episodes + 1, self.steps + steps, self._playing - 1

    def report(self, interrupted: bool) -> CollectReport:
        return CollectReport(
            self._job.folder,
            self.episodes - self._old_episodes,
            self.steps - self._old_steps,
            self.episodes,
            self.steps,
            time.monotonic() - self._started,
            interrupted,
            tuple(self._skipped),
        )


class _Speed(ProgressColumn):
    """Frames a second of the task so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['frames'] / task.elapsed:,.0f} frames/s" if task.elapsed else "")


class _Bar:
    """A progress bar counting steps or episodes, whichever is the target."""

    def __init__(self, count: _Count, shown: bool):
        self._count, self._frames = count, 0
        self._steps_seen = count.steps
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"))
        self._progress = Progress(*columns, _Speed(), TimeRemainingColumn(), disable=not shown)
        unit, total = ("episodes", count.target_episodes) if count.target_episodes else ("steps", count.target_steps)
        self._task = self._progress.add_task(unit, total=total, completed=self._done(), frames=0)

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def advance(self, steps: int) -> None:
        self._frames += steps
        self._steps_seen += steps
        self._progress.update(self._task, completed=self._done(), frames=self._frames)

    def _done(self) -> int:
        return self._count.episodes if self._count.target_episodes else self._steps_seen
