"""Collecting episodes of real games over worker processes, each with its own emulator."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym

from genie_gym import data
from genie_gym.collection.config import CollectConfig
from genie_gym.collection.plan import Plan, Target, Task
from genie_gym.collection.player import HIGH_RES_SIZE, Job
from genie_gym.collection.policies import POLICIES, Policy, make_policy
from genie_gym.collection.progress import CollectionProgress
from genie_gym.collection.workers import WorkerPool
from genie_gym.errors import ConfigError, GenieGymError
from genie_gym.games.catalogue import console_buttons
from genie_gym.games.game_names import game_names
from genie_gym.utils import paths
from genie_gym.utils.options import make_config
from genie_gym.world_model.real_game import named_options, real_game
from genie_gym.world_model.resolve import resolve_agent

__all__ = ["CollectReport", "collect", "collect_games"]


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
        ConfigError: An option is out of range, the policy is unknown, the game has no savestates to name, or the folder
            holds episodes of this policy and seed with another maximum length.
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
    (report,) = _collect([_make_job(config, None if isinstance(policy, str) else policy)], progress)
    return report


def collect_games(
    names: Sequence[str], config: CollectConfig | None = None, /, *, progress: bool = True, **options: Any
) -> tuple[CollectReport, ...]:
    """Collect episodes of several games, as many of each; the workers go from one game to the next.

    Which episodes these are is the same as if `collect` was called for each game. Resumable, and under the same
    conditions.

    Args:
        names: Names of games, sets of RetroAct, files of names or "all", see `genie_gym.games.game_names`.
        config: A configuration, whose `game` is ignored. Its `out` is the folder that the games' folders are made in.
        progress: Whether to show how far it is: a bar on a terminal, else a line each ten seconds.
        **options: Fields of CollectConfig by name, in place of a configuration.

    Returns:
        What was collected, by game.

    Raises:
        As `collect`, and GameError if a game is unknown, or there is none.
    """
    games = game_names(names)
    config = make_config(CollectConfig, config, {} if config is not None else {**options, "game": games[0]})
    if config.env is not None:
        raise ConfigError("env is about one game; collect the others without it")
    configs = [replace(config, game=name, out=config.out and config.out / name) for name in games]
    return tuple(_collect([_make_job(one, None) for one in configs], progress))


def _collect(jobs: Sequence[Job], progress: bool) -> list[CollectReport]:
    started = time.monotonic()
    for job in jobs:  # reports problems with the folders before any emulator starts
        _check_lengths(job)
        data.EpisodeWriter(job.folder, job.header).close()
        data.pack(job.folder)
    plan = Plan(jobs)
    with CollectionProgress(plan, shown=progress) as shown:
        interrupted = _run(jobs, plan, shown)
    for job in jobs:
        data.pack(job.folder)
    return [_report(target, time.monotonic() - started, interrupted) for target in plan.targets]


def _report(target: Target, seconds: float, interrupted: bool) -> CollectReport:
    return CollectReport(
        target.job.game.name,
        target.job.folder,
        target.episodes - target.old_episodes,
        target.steps - target.old_steps,
        target.episodes,
        target.steps,
        seconds,
        interrupted,
        tuple(target.skipped),
    )


def _make_job(config: CollectConfig, policy: Policy | None) -> Job:
    spec = real_game(config.game, config, config.out)
    if config.savestates:
        if console_buttons(spec.system) is None:
            raise ConfigError(f"savestates are named for games of stable-retro; {spec.name} has none (leave them out)")
        spec = replace(spec, savestates=config.savestates)
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


def _run(jobs: Sequence[Job], plan: Plan, shown: CollectionProgress) -> bool:
    """Run the workers until the plan is complete; return whether Ctrl-C came first."""
    config = jobs[0].config
    try:
        if config.ray is not None:
            _run_on_cluster(config.ray, jobs, plan, shown)
        elif not plan.complete():
            with WorkerPool(jobs, config.workers or os.cpu_count() or 1) as pool:
                _drive(pool, plan, shown)
    except KeyboardInterrupt:
        return True
    return False


def _run_on_cluster(address: str, jobs: Sequence[Job], plan: Plan, shown: CollectionProgress) -> None:
    """Play on a Ray cluster and gather what its nodes stored; what a dead node had is played again, until all is here.

    Raises:
        GenieGymError: All of a round was lost.
    """
    from genie_gym.collection.cluster import Cluster

    with Cluster(address) as cluster:
        cluster.gather(jobs)  # what an earlier call left on the nodes
        plan.read()
        while not plan.complete():
            before = plan.episodes
            try:
                with cluster.pool(jobs, jobs[0].config.workers) as pool:
                    _drive(pool, plan, shown)
            finally:
                cluster.gather(jobs)
                plan.read()
            if plan.episodes == before:
                raise GenieGymError("no episode arrived from the cluster; see the warnings above and Ray's dashboard")


class _Pool(Protocol):
    """Workers; see `WorkerPool`."""

    def events(self) -> Iterator[tuple[Any, str, int]]: ...

    def send(self, worker: Any, answer: Task | bool | None) -> None: ...

    def abandon(self, workers: Iterable[Any]) -> None: ...


def _drive(pool: _Pool, plan: Plan, shown: CollectionProgress) -> None:
    """Give the workers episodes to play, and tell them which of those to store."""
    playing, games = dict[Any, Task](), dict[Any, int]()
    waiting: set[Any] = set()  # workers with an episode of which it is not known yet whether it belongs
    for worker, kind, number in pool.events():
        if kind == "steps":
            shown.advance(number)
        elif kind == "ready":
            playing.pop(worker, None)
            if (task := plan.begin(games.get(worker, 0))) is not None:
                playing[worker], games[worker] = task, task[0]
            pool.send(worker, task)
        elif kind == "played":
            plan.played(playing[worker], number)
            waiting.add(worker)
        elif kind == "stored":
            plan.stored(playing.pop(worker), number)
            shown.advance(0)
        elif kind == "lost":
            waiting.discard(worker)
            plan.lost(playing.pop(worker, None))
        for one in [one for one in waiting if plan.belongs(playing[one]) is not None]:
            pool.send(one, plan.belongs(playing[one]))
            waiting.discard(one)
        if plan.complete():
            pool.abandon(playing.keys() - waiting)
