"""Commands around exploring: train an explorer or other agent, count places reached, refit the model."""

import shlex
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym.cli.names import Game
from genie_gym.errors import ConfigError

__all__ = ["explore", "places", "refit"]


def explore(
    game: Game,
    steps: int = 100_000,
    reward: str = "autoexplore",
    checkpoint: str | None = None,
    every: int = 4,
    envs: int = 8,
    seed: int = 0,
    max_steps: int = 1000,
    dream: bool = False,
    begin_with: str | None = None,
    record: Path | None = None,
    out: Path | None = None,
    compile: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> int:
    """Train an explorer in the real game, or in a dream; the same command goes on where it stopped.

    Args:
        game: Name, such as Airstriker-Genesis, the model of which ships with genie_gym.
        steps: Train until this many steps have been taken in all.
        reward: autoexplore (the world model's uncertainty); game (its own, for agents whose play tests a world model);
            or to compare with: random_features, vae_features, rnd, none.
        checkpoint: A checkpoint folder or the id of a model on the hub, in place of the game's own weights.
        every: Score one step in so many; 1 is the paper's, and costs two CPU cores half of their steps a second.
        envs: Copies of the game, each in its own process; or dreams.
        seed: Of everything random.
        max_steps: Longest episode, in steps.
        dream: Train in the world model's dreams and never start the game; reward is autoexplore or game.
        begin_with: An agent whose weights a new one begins with: a name such as autoexplore-dream-0, or a path.
        record: Folder of a recording to which the play it learns from is added, for fit; not of dreams.
        out: Folder of the agent, its curves and pictures; below the data folder by default.
        compile: Let torch compile the world model's scoring or dreams: a minute or two at first, then half the time.
        device: auto, cpu or cuda.
        threads: CPU threads.
    """
    from rich.console import Console

    from genie_gym.games import names
    from genie_gym.pipeline import explore as training

    report = training.explore(
        game,
        steps=steps,
        reward=reward,
        checkpoint=checkpoint,
        every=every,
        envs=envs,
        seed=seed,
        max_steps=max_steps,
        dream=dream,
        begin_with=begin_with,
        record=record,
        out=out,
        compile=compile,
        device=device,
        threads=threads,
    )
    Console().print(report)
    if not report.finished:
        print(f"stopped and saved in {report.agent.parent}; the same command goes on from here")
        return 130
    agent = out or report.agent.parent.name
    print(f"{report.gif}: what it found")
    if report.game in names():
        print(f"record its play of the real game with: genie-gym collect {game} --policy {shlex.quote(str(agent))}")
    return 0


def refit(
    game: Game,
    rounds: int = 1,
    data_from: str = "autoexplore",
    explore_steps: int = 100_000,
    dream_steps: int = 0,
    frames: int = 20_000,
    random_share: float = 0.15,
    every: int = 4,
    decoder_steps: int = 1000,
    dynamics_steps: int = 3000,
    lr: float = 0.3,
    new_share: float = 0.5,
    checkpoint: str | None = None,
    data: Path | None = None,
    test: Path | None = None,
    out: Path | None = None,
    run: Path | None = None,
    envs: int = 8,
    max_steps: int = 1000,
    clips: int = 128,
    workers: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
) -> int:
    """Make a world model better by play that it is unsure of; the same command goes on where it stopped.

    Args:
        game: Name, such as Airstriker-Genesis.
        rounds: Of exploring, collecting, tuning and scoring, in all.
        data_from: autoexplore (the world model's uncertainty) or another reward of explore, on which an agent is
            trained to collect with; or random or sticky play, to compare with.
        explore_steps: Steps of the real game that train the agent in each round.
        dream_steps: Steps in the model's dreams that train it before those; they need no real frames.
        frames: Frames to collect in each round.
        random_share: Share of the agent's actions, from 0 to 1, that are drawn at random in place of its own.
        every: Score one of the agent's steps in so many while it is trained.
        decoder_steps: Optimiser steps of the tokenizer's decoder in each round.
        dynamics_steps: Of the dynamics.
        lr: Peak learning rate, as a share of the one that fit trains with.
        new_share: Share of the clips trained on, from 0 to 1, that comes from the round's own play.
        checkpoint: A checkpoint folder or the id of a model on the hub, in place of the game's own weights.
        data: Folder of the recording the model was fitted to; the game's own below the data folder by default.
        test: Folder of a recording to score on and never to train on.
        out: Folder for the refitted checkpoint, besides the run's.
        run: Folder of everything a round makes; below the data folder by default.
        envs: Copies of the game while the agent is trained.
        max_steps: Longest episode, in steps.
        clips: Pieces of play to score on, of each recording.
        workers: Processes that collect; one for each core by default.
        seed: Of everything random.
        device: Of explorer, reward and scores: auto, cpu or cuda. Tuning goes to the GPU wherever there is one.
        threads: CPU threads.
    """
    from rich.console import Console

    from genie_gym.pipeline.refit import refit as run_rounds
    from genie_gym.pipeline.refit_config import RefitConfig
    from genie_gym.pipeline.tune import TuneConfig

    config = RefitConfig(
        data_from=data_from,
        explore_steps=explore_steps,
        dream_steps=dream_steps,
        frames=frames,
        random_share=random_share,
        every=every,
        envs=envs,
        max_steps=max_steps,
        tune=TuneConfig(decoder_steps, dynamics_steps, lr=lr, new_share=new_share),
        clips=clips,
        seed=seed,
    )
    report = run_rounds(
        game,
        rounds=rounds,
        config=config,
        checkpoint=checkpoint,
        data=data,
        test=test,
        out=out,
        run=run,
        workers=workers,
        device=device,
        threads=threads,
    )
    print(f"report: {report.page}")
    if report.stopped:
        print(f"stopped in {report.stopped}, and saved; the same command goes on from here")
        return 130
    Console().print(report)
    look = shlex.join(["genie-gym", "demo", game, "--checkpoint", str(report.checkpoint)])
    print(f"world model in {report.checkpoint}; look at it with: {look}")
    return 0


def places(
    recordings: Annotated[Positional[tuple[str, ...]], arg(metavar="GAME|FOLDER")], frames: int | None = None
) -> None:
    """Count the different places that recorded play reached, for each policy and seed on equally many frames.

    Args:
        recordings: Names of games, or folders of recordings, all of one game.
        frames: How many frames of each to count; as many as the shortest has by default.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from genie_gym.cli.names import find_name
    from genie_gym.paths import data_dir
    from genie_gym.pipeline.places import compare

    if not recordings:
        raise ConfigError("name a game or the folder of a recording")
    folders = [Path(name) if Path(name).is_dir() else data_dir(find_name(name)) for name in recordings]
    table = Table("play", "frames", "pictures", "positions", box=box.SIMPLE_HEAD)
    for report in compare(folders, frames):
        positions = "unknown" if report.positions is None else f"{report.positions:,}"
        table.add_row(
            report.label if len(folders) > 1 else report.run, f"{report.frames:,}", f"{report.pictures:,}", positions
        )
    Console().print(table)
    print("pictures differ in 8 x 8 cells of 32 grey levels; positions are the player's, as the game's memory has them")
