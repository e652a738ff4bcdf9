"""Commands whose pages people judge on: user studies, and the annotation of games."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from genie_gym.annotation.config import AnnotateConfig
from genie_gym.studies.config import StudyConfig, StudyResultsConfig
from genie_gym.web.config import PageOptions

__all__ = ["annotate", "run_study", "study_results"]


CONNECTIONS = 512  # at the same time


@dataclass(frozen=True)
class StudyArguments(PageOptions, StudyConfig):
    __doc__ = StudyConfig.__doc__
    models: Annotated[Positional[tuple[str, ...]], arg(metavar="[MODEL ...]")] = ()

    def __post_init__(self) -> None:
        StudyConfig.__post_init__(self)
        PageOptions.__post_init__(self)


@dataclass(frozen=True)
class StudyResultsArguments(StudyResultsConfig):
    __doc__ = StudyResultsConfig.__doc__

    file: Positional[Path]


@dataclass(frozen=True)
class AnnotateArguments(PageOptions, AnnotateConfig):
    __doc__ = AnnotateConfig.__doc__
    games: Annotated[Positional[tuple[str, ...]], arg(metavar="[GAME ...]")] = ()

    def __post_init__(self) -> None:
        AnnotateConfig.__post_init__(self)
        PageOptions.__post_init__(self)


def run_study(config: Annotated[StudyArguments, arg(name="")]) -> int:
    """Make a user study of world models, or continue one, and serve its page until Ctrl-C."""
    from genie_gym.web.server import check_web_packages, serve_app

    check_web_packages()
    from genie_gym.studies.opening import open_study
    from genie_gym.web.study import make_study_app

    study = open_study(StudyConfig(**{field.name: getattr(config, field.name) for field in fields(StudyConfig)}))
    print(f"{config.file}: {len(study.facts)} pairs of clips, {len(study.answers())} answers so far")
    serve_app(lambda access: make_study_app(study, access), config, "take part", CONNECTIONS)
    return 0


def study_results(config: Annotated[StudyResultsArguments, arg(name="")]) -> int:
    """Print the results of a user study with confidence intervals, and write them as JSON and as a plot."""
    from genie_gym.studies.results import study_results as evaluate_study

    print("\n".join(evaluate_study(config).lines()))
    print(f"{config.folder / 'results.png'}: the plot; all figures: {config.folder / 'results.json'}")
    return 0


def annotate(config: Annotated[AnnotateArguments, arg(name="")]) -> int:
    """Annotate games in RetroAct's columns on a page that shows what each button does, until Ctrl-C."""
    from genie_gym.web.server import check_web_packages, serve_app

    check_web_packages()
    from genie_gym.annotation.sheet import Sheet
    from genie_gym.web.annotate import make_annotate_app

    sheet = Sheet(config)
    print(f"{config.file}: {len(sheet.games)} game(s) to annotate")
    serve_app(lambda access: make_annotate_app(sheet, config.seed, access), config, "annotate", CONNECTIONS)
    return 0
