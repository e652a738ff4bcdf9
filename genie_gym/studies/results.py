"""What the answers of a study say: means with confidence intervals over participants, differences, and side effects.

The participants are what varies: each counts with the mean of its own answers, and intervals are Student's t over these
means. They hold for other people who judge the same clips. With a single participant the clips are what varies.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from genie_gym.errors import DataError
from genie_gym.studies.config import StudyResultsConfig
from genie_gym.studies.store import REAL, Answer, Facts, StudyFile
from genie_gym.utils.atomic import atomic_write, check_writable
from genie_gym.utils.extras import require
from genie_gym.utils.jsonable import FloatOrNan, to_jsonable
from genie_gym.utils.options import make_config

__all__ = ["Difference", "Estimate", "Group", "StudyResults", "evaluate_answers", "study_results"]

CONFIDENCE = 0.95

Wanted = dict[str, str]  # facts of pairs, by name


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % confidence interval.

    Attributes:
        mean: The mean.
        standard_error: Its standard error; NaN of a single value.
        low: Lower end of the interval; NaN of a single value.
        high: Upper end.
        over: How many values it is of.
    """

    mean: float
    standard_error: FloatOrNan
    low: FloatOrNan
    high: FloatOrNan
    over: int


@dataclass(frozen=True)
class Group:
    """Answers to pairs of one kind.

    Attributes:
        game: Name of the game, or "all".
        name: Label of the model, "real", or the action.
        answers: Number of answers.
        estimate: Mean rating from 1 to 5; or how often the second model is preferred, from 0 to 1.
        counts: How often each value was given, by value.
    """

    game: str
    name: str
    answers: int
    estimate: Estimate
    counts: dict[str, int]


@dataclass(frozen=True)
class Difference:
    """Whether one model is rated higher than another, over pairs of what varies.

    Attributes:
        game: Name of the game, or "all".
        higher: Label of the model that is subtracted from.
        lower: Label of the other.
        estimate: Mean difference of the ratings.
        p: Of the paired t test that there is none; NaN where it cannot be told.
    """

    game: str
    higher: str
    lower: str
    estimate: Estimate
    p: FloatOrNan


@dataclass(frozen=True)
class StudyResults:
    """Results of a study.

    Attributes:
        kind: "rate" or "choose".
        raters: Participants with an answer.
        answers: Their answers.
        complete: Participants who answered everything.
        varying: What estimates vary over: "participants" or "clips".
        compared: Labels of the models; of a study to choose from the first and the second.
        groups: Results by game and model, or by action.
        differences: Between the models, of ratings.
        left: Share of choices for the clip on the left, 0.5 without a bias; None of ratings.
        psnr_correlation: Spearman's correlation of the mean rating of a pair and its PSNR; None of choices.
        seconds: Median time of an answer.
    """

    kind: str
    raters: int
    answers: int
    complete: int
    varying: str
    compared: tuple[str, ...]
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    left: Estimate | None
    psnr_correlation: FloatOrNan | None
    seconds: float

    def lines(self) -> list[str]:
        """Return the results as lines of text."""
        said = [f"{self.answers} answers of {self.raters} participant(s), {self.complete} of them complete"]
        what = "rating, 1 to 5" if self.kind == "rate" else f"preference for {self.compared[1]}, 0 to 1"
        said.append(f"{what}, mean and 95 % interval over {self.varying}:")
        said += [f"  {one.game}, {one.name}: {_shown(one.estimate)} ({one.answers} answers)" for one in self.groups]
        for one in self.differences:
            p = _number(one.p, ".2g")
            said.append(f"  {one.game}: {one.higher} above {one.lower} by {_shown(one.estimate)}, p = {p}")
        if self.left is not None and not math.isnan(self.left.mean):  # else nobody chose either
            said.append(f"the left clip was chosen in {_shown(self.left)} of all choices; 0.5 shows no habit")
        if self.psnr_correlation is not None:
            said.append(f"Spearman correlation of ratings and PSNR: {_number(self.psnr_correlation)}")
        return said


def study_results(config: StudyResultsConfig | None = None, /, **options: Any) -> StudyResults:
    """Evaluate the answers of a study, and write results.json and results.png.

    Args:
        config: All settings in one object.
        options: Fields of `StudyResultsConfig` by name, in place of a configuration.

    Raises:
        DataError: There is no such study, it has no answers, or the results cannot be written.
        MissingExtraError: The extra `train` is not installed.
    """
    config = make_config(StudyResultsConfig, config, options)
    study = StudyFile(config.file)
    check_writable(config.folder)
    results = evaluate_answers(study.plan.kind, study.facts, study.answers())
    atomic_write(config.folder / "results.json", (json.dumps(to_jsonable(results), indent=1) + "\n").encode())
    from genie_gym.studies.figure import draw

    atomic_write(config.folder / "results.png", draw(results))
    return results


def evaluate_answers(kind: str, facts: Sequence[Facts], answers: Sequence[Answer]) -> StudyResults:
    """Return what answers say.

    Args:
        kind: "rate" or "choose".
        facts: What the pairs are, by number.
        answers: All answers.

    Raises:
        DataError: There are none.
    """
    if not answers:
        raise DataError("nobody has answered yet; take part first: genie-gym study run --file FILE")
    given: dict[str, int] = {}
    for answer in answers:
        given[answer.rater] = given.get(answer.rater, 0) + 1
    evaluation = _Evaluation(kind, facts, answers, "participants" if len(given) > 1 else "clips")
    rated = kind == "rate"
    return StudyResults(
        kind=kind,
        raters=len(given),
        answers=len(answers),
        complete=sum(count == len(facts) for count in given.values()),
        varying=evaluation.varying,
        compared=evaluation.compared,
        groups=tuple(evaluation.groups()),
        differences=tuple(evaluation.differences()) if rated else (),
        left=None if rated else evaluation.left(),
        psnr_correlation=evaluation.psnr_correlation() if rated else None,
        seconds=float(np.median([answer.seconds for answer in answers])),
    )


@dataclass(frozen=True)
class _Evaluation:
    """The answers with what they are answers to."""

    kind: str
    facts: Sequence[Facts]
    answers: Sequence[Answer]
    varying: str

    @property
    def compared(self) -> tuple[str, ...]:
        if self.kind == "choose":
            return self.facts[0].first, self.facts[0].second
        return tuple(dict.fromkeys(one.second for one in self.facts if one.second != REAL))

    def groups(self) -> Iterable[Group]:
        """Of ratings by game and source, with all games together where there are several; of choices by action."""
        if self.kind == "choose":
            game = self.facts[0].game
            yield self._group(game, "all actions", {})
            for action in dict.fromkeys(one.action for one in self.facts):
                yield self._group(game, action, {"action": action})
            return
        for game, wanted in self._games():
            for source in (*self.compared, REAL):
                if self._values(wanted | {"second": source}):
                    yield self._group(game, source, wanted | {"second": source})

    def differences(self) -> Iterable[Difference]:
        """Of each two models, over those participants, or clips, with answers to both."""
        for game, wanted in self._games():
            for one, other in combinations(self.compared, 2):
                a, b = self._values(wanted | {"second": one}), self._values(wanted | {"second": other})
                apart = np.array([a[unit] - b[unit] for unit in a if unit in b])
                if len(apart):
                    names, apart = ((one, other), apart) if apart.mean() >= 0 else ((other, one), -apart)
                    yield Difference(game, *names, estimate(apart), _p_of_no_difference(apart))

    def left(self) -> Estimate:
        """The share of decided choices for the left clip, by participant."""
        chosen: dict[str, list[float]] = {}
        for answer in self.answers:
            if answer.value != 0.5:
                chosen.setdefault(answer.rater, []).append(float((answer.value == 0) != answer.swapped))
        values = list(chosen.values())
        return estimate(values[0] if len(values) == 1 else [float(np.mean(one)) for one in values])

    def psnr_correlation(self) -> float:
        """Over pairs that a model has part in."""
        found: dict[int, list[float]] = {}
        for answer in self.answers:
            if self.facts[answer.sample].psnr is not None:
                found.setdefault(answer.sample, []).append(answer.value)
        means = [float(np.mean(values)) for values in found.values()]
        if len(set(means)) < 2:
            return float("nan")
        return float(require("scipy.stats").spearmanr(means, [self.facts[one].psnr for one in found]).statistic)

    def _games(self) -> list[tuple[str, Wanted]]:
        games = list(dict.fromkeys(one.game for one in self.facts))
        found: list[tuple[str, Wanted]] = [(game, {"game": game}) for game in games]
        return [*found, ("all", {})] if len(games) > 1 else found

    def _chosen(self, wanted: Wanted) -> Iterator[tuple[Facts, Answer]]:
        """The answers to pairs of which these facts hold."""
        for answer in self.answers:
            facts = self.facts[answer.sample]
            if all(getattr(facts, name) == value for name, value in wanted.items()):
                yield facts, answer

    def _group(self, game: str, name: str, wanted: Wanted) -> Group:
        values = [answer.value for _, answer in self._chosen(wanted)]
        known = ("1", "2", "3", "4", "5") if self.kind == "rate" else ("0", "0.5", "1")
        counts = {value: sum(f"{one:g}" == value for one in values) for value in known}
        return Group(game, name, len(values), estimate(list(self._values(wanted).values())), counts)

    def _values(self, wanted: Wanted) -> dict[str, float]:
        """The mean answer of each participant; or, where clips vary, to each scene and action."""
        found: dict[str, list[float]] = {}
        for facts, answer in self._chosen(wanted):
            unit = answer.rater if self.varying == "participants" else f"{facts.game} {facts.scene} {facts.action}"
            found.setdefault(unit, []).append(answer.value)
        return {unit: float(np.mean(values)) for unit, values in found.items()}


def estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """Return the mean of values with Student's t interval; NaN of none."""
    x = np.asarray(values, float)
    if len(x) < 2:
        nan = float("nan")
        return Estimate(float(x.mean()) if len(x) else nan, nan, nan, nan, len(x))
    error = float(x.std(ddof=1) / np.sqrt(len(x)))
    reach = error * float(require("scipy.stats").t.ppf((1 + CONFIDENCE) / 2, len(x) - 1))
    return Estimate(float(x.mean()), error, float(x.mean()) - reach, float(x.mean()) + reach, len(x))


def _p_of_no_difference(apart: np.ndarray) -> float:
    if len(apart) < 2 or not apart.std():
        return float("nan")
    return float(require("scipy.stats").ttest_1samp(apart, 0).pvalue)


def _shown(one: Estimate) -> str:
    return _number(one.mean) + (f" [{one.low:.2f}, {one.high:.2f}]" if one.over > 1 else "")


def _number(value: float, form: str = ".2f") -> str:
    """A number as it is said; there is none where all answers are alike, or none was given."""
    return "unknown" if math.isnan(value) else format(value, form)
