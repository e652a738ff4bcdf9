"""Training an explorer on the world model's uncertainty, or an agent on the game's reward, in the game or in dreams."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from rich import box
from rich.table import Table

from genie_gym import games, paths
from genie_gym.checks import at_least, check_seed
from genie_gym.claims import claimed
from genie_gym.data import Episode, RecordingWriter, pack
from genie_gym.devices import use_threads
from genie_gym.envs import WorldModelEnv
from genie_gym.errors import ConfigError, GameError
from genie_gym.files import sweep, write_aside
from genie_gym.frames import enlarge, to_gif
from genie_gym.pipeline.agent_policy import AGENT, AgentPolicy, own_agent
from genie_gym.pipeline.places import Places
from genie_gym.pipeline.rollout import episode_seed, play_episode
from genie_gym.pipeline.settings import same_settings
from genie_gym.pipeline.watch import TrainingWatch
from genie_gym.rewards.options import REWARDS as INTRINSIC
from genie_gym.stopping import stop_signal
from genie_gym.world_model.weights import find_weights

if TYPE_CHECKING:  # the command line's help needs neither torch nor Stable-Baselines3
    from genie_gym.sb3 import ExplorerConfig

__all__ = ["DREAMED", "REWARDS", "ExploreReport", "explore"]

REWARDS = (*INTRINSIC, "game")
DREAMED = ("autoexplore", "game")  # that a dream pays
FILMED = 5  # episodes played at the end, of which the one with most places is shown
SHOWN = 300  # steps of each


@dataclass(frozen=True)
class ExploreReport:
    """How a training ended.

    Attributes:
        game, reward: what was trained, and on what.
        agent: the saved agent.
        steps: in all.
        seconds: of training, in all.
        figures: "reward" (mean of the last update's steps that were scored), "episode_length" and "game_return" (means
            of the last 100 episodes), "places" (different pictures seen, see `genie_gym.pipeline.places`).
        finished: False where it was interrupted.
        gif: an episode of the trained agent; None where it was interrupted.
    """

    game: str
    reward: str
    agent: Path
    steps: int
    seconds: float
    figures: dict[str, float]
    finished: bool
    gif: Path | None = None

    def __rich__(self) -> Table:
        title = f"{self.game}: trained on {self.reward}"
        table = Table(title=title, box=box.SIMPLE_HEAD, show_header=False, min_width=len(title))
        table.add_row("steps", f"{self.steps:,}")
        table.add_row("training time", f"{self.seconds / 60:.1f} min")
        for name, value in self.figures.items():
            table.add_row(name.replace("_", " "), f"{value:,.4g}" if value % 1 else f"{value:,.0f}")
        return table


def explore(
    game: str,
    *,
    steps: int = 100_000,
    reward: str = "autoexplore",
    checkpoint: str | Path | None = None,
    every: int = 4,
    envs: int = 8,
    seed: int = 0,
    max_steps: int = 1000,
    dream: bool = False,
    begin_with: str | Path | None = None,
    record: str | Path | None = None,
    out: str | Path | None = None,
    compile: bool = False,
    device: str = "auto",
    threads: int | None = None,
    progress: bool = True,
    config: "ExplorerConfig | None" = None,
) -> ExploreReport:
    """Trains an agent in the real game, or in a dream; the same call goes on where an interrupted one stopped.

    On an intrinsic reward the explorer never sees the game's own (paper section 3.4), and the end of an episode counts
    as a limit, not as a loss: see `genie_gym.sb3.EndsAreTruncations`. Trained on the game's reward, the same network is
    the agent whose play makes test sets the world model has never seen (the paper's Agent57).

    In a dream the same reward is free, as its logits are what the frames are drawn from; it is that of one frame ahead.

    Args:
        game: canonical name; its emulator has to be installed. For a dream, anything that has weights.
        steps: over all environments and earlier calls.
        reward: "autoexplore", the world model's uncertainty; a baseline of `genie_gym.rewards`, which begins to learn
            anew when the training is resumed; or "game".
        checkpoint: the world model for the reward, a folder or hub id; the game's own weights by default.
        every: one step in so many is scored by an intrinsic reward, and the others are paid 0. The paper scores every
            step (1), which costs two CPU cores half of their steps a second; 4 costs a fifth. A dream pays every step.
        envs: copies of the game, or dreams.
        seed: of everything random.
        max_steps: longest episode.
        dream: never starts the game, but trains in dreams of the world model, on "autoexplore" or "game".
        begin_with: an agent whose weights a new one begins with, one trained in a dream, say: a name below
            `paths.agents_dir(game)`, a folder, or a file.
        record: folder of a recording that the play it learns from is added to. Not for dreams.
        out: folder; `paths.agents_dir(game) / "<reward>-<seed>"` by default, with "-dream" or "-begun" before the seed
            for an agent trained in dreams or begun with another. It holds agent.zip, settings.json, places.npy,
            found.gif and TensorBoard's curves.
        compile: lets torch compile the world model's scoring, or its dreams: a minute or two at first. Every step
            scored then costs two fifths of the steps a second, one in 4 an eighth.
        device: of agent and world model: "auto", "cpu" or "cuda".
        threads: CPU threads; torch's choice by default.
        progress: shows a bar with the time left.
        config: how the agent learns.

    Raises:
        ConfigError: an option out of range, the folder was begun with other settings, or another process is training in
            it.
        GameError, MissingExtraError: the game does not start or its process ends, or the extra `sb3` is missing.
        CheckpointError: the reward or the dream needs a world model and the game has none; there is no such agent to
            begin with, or it has another size or other actions.

    Scripts must call it under `if __name__ == "__main__":`, because the emulators' processes import the script.
    """
    from genie_gym.sb3 import paying_dreams, resume_explorer, train

    known = DREAMED if dream else REWARDS
    if reward not in known:
        raise ConfigError(f"unknown reward {reward!r}{' of a dream' * dream}; choose one of: {', '.join(known)}")
    at_least(1, steps=steps, every=every, envs=envs, max_steps=max_steps)
    check_seed(seed)
    if dream and record:
        raise ConfigError(f"dreams are not recorded, so {record} would stay empty; leave out record or dream")
    use_threads(threads)
    spec = find_weights(game, checkpoint)[1] if dream else games.find(game)
    name = spec.name if spec else game  # a world from one's own video is no known game
    kind = f"{reward}{'-dream' * dream}{'-begun' * bool(begin_with)}"
    folder = Path(out or paths.agents_dir(name) / f"{kind}-{seed}")
    first = AgentPolicy(own_agent(name, begin_with)).path if begin_with else None
    settings = {"game": name, "reward": reward, "seed": seed, "max_steps": max_steps, "dream": dream}
    settings |= {"checkpoint": paths.absolute(checkpoint), "every": every, "envs": envs}
    settings |= {"begin_with": paths.absolute(first)}
    if dream:
        how: dict[str, Any] = {"num_envs": envs, "max_steps": max_steps, "compile": compile, "device": device}
        env = paying_dreams(name, reward, checkpoint, **how)
    else:
        played = _played(games.find(name), reward, seed, envs, max_steps, record)
        env = _paying(played, reward, name, checkpoint, every=every, compile=compile, device=device)
    try:
        with claimed(folder):  # once it is clear that the training can start
            same_settings(folder / "settings.json", settings)
            sweep(folder)
            agent, about = resume_explorer(folder / AGENT, env, config, seed=seed, device=device, begin_with=first)
            with stop_signal() as stop, TrainingWatch(agent, about | settings, folder, steps, stop, progress) as watch:
                finished = train(agent, steps, watch, folder / "tensorboard")
    except (EOFError, ConnectionError) as error:
        said = f"an emulator's process of {name} ended; the same command goes on from the last save"
        raise GameError(said) from error
    finally:
        with suppress(EOFError, ConnectionError):  # closing asks every process, also one that is gone
            env.close()
    if record:
        pack(record)
    report = ExploreReport(name, reward, folder / AGENT, agent.num_timesteps, watch.seconds, watch.summary, finished)
    if not finished:
        return report
    shown: gym.Env = WorldModelEnv(name, checkpoint, device=device) if dream else games.make(name)
    return replace(report, gif=_film(shown, folder, seed, max_steps))


def _played(spec: games.GameSpec, reward: str, seed: int, envs: int, max_steps: int, record: str | Path | None) -> Any:
    """The games, and where asked for a recording of how they are played."""
    from genie_gym.sb3 import RecordedPlay, make_game_vec_env

    if record is None:
        return make_game_vec_env(spec.name, envs, max_steps=max_steps)
    header = {"game": spec.to_dict(), "actions": spec.meanings, "frame_skip": spec.frame_skip}
    run = f"{reward}-learning-{seed}"
    writer = RecordingWriter(record, header | {"policy": f"{reward}-learning", "seed": seed, "max_steps": max_steps})

    def keep(episode: Episode) -> None:
        # By its content: a training that was killed before its first save plays the same again.
        played = hashlib.blake2b(episode.frames.tobytes() + episode.actions.tobytes(), digest_size=8).hexdigest()
        writer.append(replace(episode, info={"id": f"{run}-{played}"}))

    return RecordedPlay(make_game_vec_env(spec.name, envs, max_steps=max_steps), keep)


def _paying(env: Any, reward: str, game: str, checkpoint: str | Path | None, **how: Any) -> Any:
    """Games that pay the chosen reward, scaled to a deviation of about 1."""
    from genie_gym.sb3 import pay

    try:
        return pay(env, reward, game, checkpoint, **how)
    except BaseException:
        env.close()  # or the emulators' processes would outlive the error
        raise


def _film(env: gym.Env, folder: Path, seed: int, max_steps: int) -> Path:
    """The trained agent's episode with most places, of a few, as a GIF; closes the environment."""
    try:
        policy = AgentPolicy(folder / AGENT)
        played = [play_episode(env, policy, episode_seed(seed, i), min(max_steps, SHOWN)) for i in range(FILMED)]
    finally:
        env.close()
    best = max(played, key=_places)
    write_aside(folder / "found.gif", to_gif(enlarge(best.frames, 3), fps=env.metadata["render_fps"]))
    return folder / "found.gif"


def _places(episode: Episode) -> int:
    places = Places()
    places.add(episode.frames)
    return len(places)
