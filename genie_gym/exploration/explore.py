"""Training of explorers and other agents, in the real game or in imagination."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from rich import box
from rich.table import Table

from genie_gym import games
from genie_gym.collection.agent_policy import AGENT, AgentPolicy, find_agent
from genie_gym.collection.rollout import episode_seed, play_episode
from genie_gym.data import Episode, EpisodeWriter, pack
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import DataError, GameError, failing_softly
from genie_gym.exploration.config import ExploreConfig
from genie_gym.exploration.coverage import StateCoverage
from genie_gym.exploration.frontier import FrontierArchive
from genie_gym.exploration.monitor import ExploreMetrics, TrainingMonitor
from genie_gym.rewards.config import ExplorationOptions
from genie_gym.utils import paths
from genie_gym.utils.atomic import atomic_write, remove_partial_files
from genie_gym.utils.device import kept_global_state, use_threads
from genie_gym.utils.extras import require
from genie_gym.utils.images import enlarge, to_gif
from genie_gym.utils.locks import run_lock
from genie_gym.utils.options import make_config
from genie_gym.utils.parallel.cluster import RayCluster
from genie_gym.utils.run_config import check_run_config
from genie_gym.utils.signals import stop_signal
from genie_gym.world_model.real_game import named_options, real_game, with_env
from genie_gym.world_model.resolve import resolve_agent, resolve_checkpoint, resolve_game

if TYPE_CHECKING:  # loads Stable-Baselines3
    from genie_gym.sb3.config import ExplorerConfig

__all__ = ["GIF", "ExploreReport", "explore"]

GIF = "found.gif"  # in the folder of a training
GIF_EPISODES, GIF_STEPS = 5, 300  # episodes to choose from, and the maximum length of each


@dataclass(frozen=True)
class ExploreReport:
    """Result of a training.

    Attributes:
        game: Name of the game.
        reward: Reward trained on.
        agent: File of the saved agent.
        steps: Number of steps in total.
        seconds: Training time in total.
        metrics: Metrics at the last update; None if the training was interrupted before the first one.
        finished: False if the training was interrupted.
        gif: An episode of the trained agent; None if the training was interrupted, or if filming failed.
    """

    game: str
    reward: str
    agent: Path
    steps: int
    seconds: float
    metrics: ExploreMetrics | None
    finished: bool
    gif: Path | None = None

    def __rich__(self) -> Table:
        title = f"{self.game}: trained on {self.reward}"
        table = Table(title=title, box=box.SIMPLE_HEAD, show_header=False, min_width=len(title))
        table.add_row("steps", f"{self.steps:,}")
        table.add_row("training time", f"{self.seconds / 60:.1f} min")
        for name, value in (asdict(self.metrics) if self.metrics else {}).items():
            if value is not None:
                table.add_row(name.replace("_", " "), f"{value:,.4g}" if value % 1 else f"{value:,.0f}")
        return table


@kept_global_state()
def explore(
    source: str | Callable[..., gym.Env] | ExploreConfig | None = None,
    /,
    *,
    progress: bool = True,
    explorer: "ExplorerConfig | None" = None,
    **options: Any,
) -> ExploreReport:
    """Train an explorer on the uncertainty of the world model, or an agent on another reward.

    With an intrinsic reward the agent never sees the game's own reward (paper section 3.4), and the end of an episode
    counts as truncation, see `genie_gym.sb3.TerminationAsTruncation`. Trained on the game's reward, the same network is
    an agent whose episodes make test sets that no world model has been trained on (the paper's Agent57).

    In imagination the uncertainty costs nothing, as the frames are sampled from the same logits; it is that of one
    frame ahead.

    Resumable: call it again with the same settings. A baseline reward learns anew when the training is resumed,
    and habituation and the archive of `frontier` begin anew.

    Args:
        source: Name of the game, whose emulator must be installed; in imagination any game with weights. Or a whole
            configuration. Or, with the option `game`, your own environment, as in `collect`.
        progress: Whether to show how far it is, and the time left.
        explorer: Hyper-parameters of a new agent.
        options: Fields of `ExploreConfig`, where no configuration is given.

    Returns:
        The report. The agent's folder holds agent.safetensors, settings.json, visited_cells.npy, found.gif and
        tensorboard/.

    Raises:
        ConfigError: An option is out of range, the folder was begun with other settings, or another process is training
            in it.
        GameError: The game does not start or its process ends.
        MissingExtraError: The extra `sb3` or `train` is not installed.
        CheckpointError: The game has no weights; or there is no such agent to start from, or it has another size or
            other actions.

    Scripts must call it under `if __name__ == "__main__":`, because the emulators' processes import the script.
    """
    import genie_gym.sb3  # noqa: F401  (reports a missing extra before anything else)

    require("imageio.v3")  # for the film at the end: reported before the work
    if isinstance(source, ExploreConfig):
        config, spec = _resolved(make_config(ExploreConfig, source, options))
    else:
        config, spec = _resolved(make_config(ExploreConfig, None, named_options(source, options)))
    use_threads(config.threads)
    folder = Path(config.out or paths.agents_dir(config.game) / config.agent_name)
    report = _train_in_env(config, spec, folder, progress, explorer)
    if config.record:
        with failing_softly(f"packing the episodes in {config.record}"):
            pack(config.record)
    if report.finished:
        with failing_softly(f"the film of the agent in {folder}"):
            report = replace(report, gif=_write_gif(config, spec, folder))
    return report


def _train_in_env(
    config: ExploreConfig,
    spec: games.GameSpec | None,
    folder: Path,
    progress: bool,
    explorer: "ExplorerConfig | None",
) -> ExploreReport:
    connection: AbstractContextManager[RayCluster | None] = nullcontext()
    if config.ray is not None:
        connection = RayCluster(config.ray)
    with connection as cluster:
        env = _make_imagined_env(config) if spec is None else _make_game_env(config, spec, cluster)
        return _train_and_close(config, env, folder, progress, explorer)


def _train_and_close(
    config: ExploreConfig, env: Any, folder: Path, progress: bool, explorer: "ExplorerConfig | None"
) -> ExploreReport:
    try:
        return _train(config, env, folder, progress, explorer)
    except (EOFError, ConnectionError) as error:
        raise GameError(
            f"an emulator's process of {config.game} ended; the same command resumes from the last save"
        ) from error
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror or error}; give another folder (--out)") from error
    finally:
        with suppress(EOFError, ConnectionError):  # closing asks every process, including one that has ended
            env.close()


def _resolved(config: ExploreConfig) -> tuple[ExploreConfig, games.GameSpec | None]:
    """The configuration with the canonical name of its game and the file of the agent to start from; and the real game.

    In imagination there is no real game.
    """
    spec = None
    if config.imagined:  # of any game with weights, one's own included
        name = resolve_game(config.game, config.checkpoint)
        resolve_checkpoint(config.checkpoint, name)  # reports missing weights before anything is written
        config = replace(config, game=name)
    else:
        spec = real_game(config.game, config, checkpoint=config.checkpoint)
        config = with_env(config, spec)
    if config.init_from:
        config = replace(config, init_from=str(find_agent(str(resolve_agent(config.game, config.init_from))).path))
    return config, spec


def _make_imagined_env(config: ExploreConfig) -> Any:
    """Imagined rollouts as a Stable-Baselines3 VecEnv, with the reward to train on."""
    from genie_gym.sb3 import make_imagined_vec_env

    return make_imagined_vec_env(
        config.game,
        config.reward,
        config.checkpoint,
        num_envs=config.num_envs,
        max_steps=config.max_steps,
        compile=config.compile,
        device=config.device,
    )


def _make_game_env(config: ExploreConfig, spec: games.GameSpec, cluster: RayCluster | None) -> Any:
    """Copies of the real game as a VecEnv, recorded if asked for, with the reward to train on."""
    from genie_gym.sb3 import VecEpisodeRecorder, make_game_vec_env, wrap_reward
    from genie_gym.sb3.frontier import VecArchivedStarts, VecStateArchiver

    env = make_game_vec_env(spec, config.num_envs, max_steps=config.max_steps, cluster=cluster)
    archive = FrontierArchive(config.frontier, config.seed) if config.frontier else None
    try:
        if archive is not None:
            env = VecArchivedStarts(env, archive)
        if config.record:
            env = VecEpisodeRecorder(env, _episode_writer(config, spec))
        env = wrap_reward(
            env,
            config.reward,
            config.game,
            config.checkpoint,
            score_interval=config.score_interval,
            compile=config.compile,
            device=config.device,
            **_reward_options(config),
        )
        return env if archive is None else VecStateArchiver(env, archive)
    except BaseException:
        env.close()  # or the emulators' processes would outlive the error
        raise


def _reward_options(config: ExploreConfig) -> dict[str, Any]:
    """How the reward differs from the paper's; nothing for rewards that have no such options."""
    if config.reward == "game":
        return {}
    return {field.name: getattr(config, field.name) for field in fields(ExplorationOptions)}


def _episode_writer(config: ExploreConfig, spec: games.GameSpec) -> Callable[[Episode], None]:
    """A function that adds episodes to the dataset, whose ids are digests of their content.

    A training that was killed before its first save takes the same steps again; these are not recorded twice.
    """
    assert config.record is not None
    policy = f"{config.reward}-learning"
    header = {"game": spec.to_dict(), "actions": spec.meanings, "frame_skip": spec.frame_skip}
    run = {"policy": policy, "seed": config.seed, "max_steps": config.max_steps}
    writer = EpisodeWriter(config.record, header | run)

    def write(episode: Episode) -> None:
        digest = hashlib.blake2b(episode.frames.tobytes() + episode.actions.tobytes(), digest_size=8).hexdigest()
        writer.append(replace(episode, info={"id": f"{policy}-{config.seed}-{digest}"}))

    return write


def _train(
    config: ExploreConfig, env: Any, folder: Path, progress: bool, explorer: "ExplorerConfig | None"
) -> ExploreReport:
    """Train a new agent or the one saved in the folder until the target, or until Ctrl-C."""
    from genie_gym.sb3 import resume_explorer, train

    settings, file = config.identity(), folder / AGENT
    first = Path(config.init_from) if config.init_from else None
    with run_lock(folder):  # once it is clear that the training can start
        check_run_config(folder / "settings.json", settings)
        remove_partial_files(folder)
        agent, about = resume_explorer(file, env, explorer, seed=config.seed, device=config.device, init_from=first)
        with (
            stop_signal() as stop,
            TrainingMonitor(agent, about | settings, folder, config.steps, stop=stop, progress=progress) as monitor,
        ):
            finished = train(agent, config.steps, monitor, folder / "tensorboard")
    steps, seconds = agent.num_timesteps, monitor.seconds
    return ExploreReport(config.game, config.reward, file, steps, seconds, monitor.latest, finished)


def _write_gif(config: ExploreConfig, spec: games.GameSpec | None, folder: Path) -> Path:
    """Write the episode of the trained agent that visits the most cells, out of a few."""
    imagined = partial(WorldModelEnv, config.game, config.checkpoint, device=config.device)
    env: gym.Env = imagined() if spec is None else games.make(spec)
    try:
        policy, steps = AgentPolicy(folder / AGENT), min(config.max_steps, GIF_STEPS)
        episodes = [play_episode(env, policy, episode_seed(config.seed, i), steps) for i in range(GIF_EPISODES)]
    finally:
        env.close()
    best = max(episodes, key=_visited_cells)
    atomic_write(folder / GIF, to_gif(enlarge(best.frames, 3), fps=env.metadata["render_fps"]))
    return folder / GIF


def _visited_cells(episode: Episode) -> int:
    coverage = StateCoverage()
    coverage.add(episode.frames)
    return len(coverage)
