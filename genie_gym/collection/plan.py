"""What is to be collected of each of some games, and which episode is played next."""

from collections.abc import Sequence

from genie_gym import data
from genie_gym.collection.player import Job
from genie_gym.collection.schedule import Schedule

__all__ = ["Plan", "Target", "Task"]

Task = tuple[int, int]  # numbers of a job and of one of its episodes


class Target:
    """What the folder of a game holds of this policy and seed, and what is yet to be collected.

    Attributes:
        job: The game.
        schedule: Which episodes are wanted, stored, or being played.
        episodes, steps: How much of this policy and seed is stored.
        old_episodes, old_steps: How much was stored before.
        skipped: One line for each damaged shard in the folder.
    """

    def __init__(self, job: Job):
        self.job = job
        self.read()
        self.old_episodes, self.old_steps = self.episodes, self.steps

    def read(self) -> None:
        """Begin again from what the folder holds."""
        lengths, self.skipped = data.episode_lengths(self.job.folder, self.job.config.high_res)
        prefix = self.job.episode_id(0).removesuffix("000000")
        numbers = {name: name.removeprefix(prefix) for name in lengths if name.startswith(prefix)}
        stored = {int(number): lengths[name] - 1 for name, number in numbers.items() if number.isdecimal()}
        config = self.job.config
        self.schedule = Schedule(stored, config.max_steps, config.target_steps, config.episodes)
        self.episodes, self.steps = len(stored), sum(stored.values())


class Plan:
    """The episodes of some games, handed out one by one.

    Args:
        jobs: The games, of each of which as much is wanted.

    Attributes:
        targets: One for each game.
    """

    def __init__(self, jobs: Sequence[Job]):
        self.targets = [Target(job) for job in jobs]

    @property
    def episodes(self) -> int:
        """Number of episodes stored, those of earlier calls included."""
        return sum(target.episodes for target in self.targets)

    @property
    def steps(self) -> int:
        """Number of steps stored, those of earlier calls included."""
        return sum(target.steps for target in self.targets)

    @property
    def episodes_wanted(self) -> int:
        """Number of episodes of all games; 0 if a number of steps is asked for."""
        return sum(target.job.config.episodes or 0 for target in self.targets)

    @property
    def steps_wanted(self) -> int:
        """Number of steps of all games; 0 if a number of episodes is asked for."""
        return sum(target.job.config.target_steps or 0 for target in self.targets)

    def read(self) -> None:
        """Begin again from what the folders hold."""
        for target in self.targets:
            target.read()

    def complete(self) -> bool:
        """Return whether everything is stored."""
        return all(target.schedule.complete() for target in self.targets)

    def begin(self, job: int = 0) -> Task | None:
        """Return what to play next, None if there is no more.

        Args:
            job: The game whose emulator runs, which is preferred.
        """
        for sure in (True, False):  # what may turn out to be one too many comes last
            for number in (job, *range(len(self.targets))):
                if (index := self.targets[number].schedule.begin(sure)) is not None:
                    return number, index
        return None

    def played(self, task: Task, steps: int) -> None:
        """Tell the length of an episode that was played."""
        self.targets[task[0]].schedule.played(task[1], steps)

    def belongs(self, task: Task) -> bool | None:
        """Return whether an episode is to be stored; None until others have ended."""
        return self.targets[task[0]].schedule.belongs(task[1])

    def stored(self, task: Task, steps: int) -> None:
        """Tell that an episode is stored."""
        target = self.targets[task[0]]
        target.schedule.stored(task[1])
        target.episodes, target.steps = target.episodes + 1, target.steps + steps

    def lost(self, task: Task | None) -> None:
        """Tell that whoever played an episode, if it was one, died."""
        if task is not None:
            self.targets[task[0]].schedule.lost(task[1])
