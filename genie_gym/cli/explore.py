"""Commands that explore: train an explorer or another agent, measure state coverage, refit the model."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from genie_gym.cli.show import show
from genie_gym.exploration.config import CoverageConfig, ExploreConfig
from genie_gym.refitting.config import RefitConfig
from genie_gym.utils.options import EnvOptions

__all__ = ["coverage", "explore", "refit"]


def explore(config: Annotated[ExploreConfig, arg(name="")]) -> int:
    """Train an explorer in the real game or in imagination. Resumable: rerun the same command."""
    from genie_gym.exploration.explore import explore as train_explorer
    from genie_gym.games import names

    report = train_explorer(config)
    show(report)
    if not report.finished:
        print(f"stopped and saved in {report.agent.parent}; rerun the same command to resume")
        return 130
    if report.gif is not None:
        print(f"{report.gif}: an episode of the trained agent")
    if report.game in names() or not config.imagined:
        # A folder is named as a path, or it would be looked for among the game's agents.
        place = report.agent.parent.name if config.out is None else Path(config.out).absolute()
        agent = shlex.quote(str(place))
        given = {field.name: getattr(config, field.name) for field in fields(EnvOptions)}
        words = [word for name, value in given.items() if value for word in (f"--{name.replace('_', '-')}", value)]
        env = f" {shlex.join(words)}" if words else ""
        print(f"collect episodes of the real game with it: genie-gym collect {config.game} --policy {agent}{env}")
    return 0


def refit(config: Annotated[RefitConfig, arg(name="")]) -> int:
    """Improve a world model with an explorer's episodes, in rounds. Resumable: rerun the same command."""
    from genie_gym.refitting.runner import refit as run_rounds

    report = run_rounds(config)
    if report.page is not None:
        print(f"report: {report.page}")
    if report.stopped:
        print(f"stopped in {report.stopped} and saved; rerun the same command to resume")
        return 130
    show(report)
    demo = shlex.join(["genie-gym", "demo", config.game, "--checkpoint", str(report.checkpoint)])
    print(f"world model in {report.checkpoint}; look at it with: {demo}")
    return 0


def coverage(config: Annotated[CoverageConfig, arg(name="")]) -> None:
    """Compare the state coverage of recorded episodes, for each policy and seed on the same number of frames."""
    from rich import box
    from rich.table import Table

    from genie_gym.exploration.coverage import compare_coverage

    table = Table("run", "frames", "visited cells", "positions", box=box.SIMPLE_HEAD)
    for report in compare_coverage(config):
        name = report.label if len(config.datasets) > 1 else report.run
        positions = "unknown" if report.positions is None else f"{report.positions:,}"
        table.add_row(name, f"{report.frames:,}", f"{report.visited_cells:,}", positions)
    show(table)
    print("cells are frames that differ in 8 x 8 squares of 32 grey levels; positions are the player's, from RAM")
