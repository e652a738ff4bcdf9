"""Commands to look at a world model: beside the real game, in a window to play in, and inside."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym.analysis.config import InspectConfig
from genie_gym.cli.show import show
from genie_gym.envs.play_config import PlayConfig
from genie_gym.evaluation.config import DemoConfig
from genie_gym.web.config import ServeConfig
from genie_gym.web_export.config import ExportWebConfig

__all__ = ["demo", "export_web", "inspect", "play", "serve"]


@dataclass(frozen=True)
class DemoArguments(DemoConfig):
    __doc__ = DemoConfig.__doc__
    game: Positional[str] = DemoConfig.game


@dataclass(frozen=True)
class ServeArguments(ServeConfig):
    __doc__ = ServeConfig.__doc__
    worlds: Annotated[Positional[tuple[str, ...]], arg(metavar="[WORLD ...]")] = ()


def demo(config: Annotated[DemoArguments, arg(name="")]) -> int:
    """Run a world model beside the real game under the same actions, print how close it stays, write a GIF.

    Where the game is not here, the model is shown alone.
    """
    from genie_gym.evaluation import demo as demonstration

    report = demonstration.demo(config)
    show(report)
    both = report.comparison is not None
    print(f"{report.gif}: {'the real game left, the world model right' if both else 'the world model'}")
    rows = "the real game above, the world model below" if both else "the world model"
    print(f"{report.grid}: {rows}, at steps further and further apart")
    return 0


def play(config: Annotated[PlayConfig, arg(name="")]) -> int:
    """Play in a world model, with the arrow keys and z, or 0 to 9 for latent actions; Escape closes the window."""
    from genie_gym.envs.play import play as open_window

    open_window(config)
    return 0


def inspect(config: Annotated[InspectConfig, arg(name="")]) -> int:
    """Analyse a world model: what its codes mean, where it is uncertain, what each action does, on an HTML page."""
    from genie_gym.analysis import inspect as analysis

    report = analysis.inspect(config)
    show(report)
    print(f"{report.page}: the same as images; all figures: {config.out / 'figures.json'}")
    return 0


def export_web(config: Annotated[ExportWebConfig, arg(name="")]) -> int:
    """Write a folder that dreams a world model in any browser, without a server's help and without Python."""
    from genie_gym.web_export.folder import export_web as write_page

    print(write_page(config))
    return 0


def serve(config: Annotated[ServeArguments, arg(name="")]) -> int:
    """Serve a page on which people play worlds in the browser, until Ctrl-C."""
    from genie_gym.web.server import serve as serve_page

    serve_page(config)
    return 0
