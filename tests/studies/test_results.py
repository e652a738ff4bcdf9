"""The statistics of answers, against scipy's own and against what simulated people really think."""

import json

import cv2
import numpy as np
import pytest
from scipy import stats

from genie_gym.errors import DataError
from genie_gym.studies import study_results
from genie_gym.studies.results import evaluate_answers
from genie_gym.studies.store import REAL, Answer, Facts, StudyFile


def facts_to_rate(scenes: int, games: tuple[str, ...] = ("G",)) -> list[Facts]:
    return [
        Facts(game, REAL, source, scene, psnr=None if source == REAL else 30.0 - scene)
        for game in games
        for source in ("new", "old", REAL)
        for scene in range(scenes)
    ]


def simulated(facts: list[Facts], raters: int, seed: int) -> list[Answer]:
    """People with leniency and noise of their own: 3.6 for new, 3.0 for old and 4.6 for real on average."""
    rng, answers = np.random.default_rng(seed), []
    for rater in range(raters):
        leniency = rng.normal(0, 0.3)
        for number, one in enumerate(facts):
            value = {"new": 3.6, "old": 3.0, REAL: 4.6}[one.second] + leniency + rng.normal(0, 0.7)
            answers.append(Answer(f"r{rater}", number, float(np.clip(round(value), 1, 5)), False, 2.0))
    return answers


def means(facts: list[Facts], answers: list[Answer], source: str) -> np.ndarray:
    raters = list(dict.fromkeys(answer.rater for answer in answers))
    return np.array(
        [np.mean([a.value for a in answers if a.rater == r and facts[a.sample].second == source]) for r in raters]
    )


def test_ratings_are_scipys(rating_study):
    facts = facts_to_rate(10)
    answers = simulated(facts, 19, seed=0)
    results = evaluate_answers("rate", facts, answers)
    assert (results.raters, results.complete, results.varying) == (19, 19, "participants")
    for group in results.groups:
        x = means(facts, answers, group.name)
        interval = stats.ttest_1samp(x, 0).confidence_interval(0.95)
        assert group.estimate.mean == pytest.approx(x.mean())
        assert group.estimate.standard_error == pytest.approx(stats.sem(x))
        assert (group.estimate.low, group.estimate.high) == pytest.approx((interval.low, interval.high))
        assert sum(group.counts.values()) == group.answers == 190
    (difference,) = results.differences
    test = stats.ttest_rel(means(facts, answers, "new"), means(facts, answers, "old"))
    interval = test.confidence_interval(0.95)
    assert (difference.higher, difference.lower) == ("new", "old") and difference.p == pytest.approx(test.pvalue)
    assert (difference.estimate.low, difference.estimate.high) == pytest.approx((interval.low, interval.high))


def test_the_correlation_with_psnr_is_scipys():
    facts = facts_to_rate(10)
    answers = simulated(facts, 5, seed=1)
    rated = [number for number, one in enumerate(facts) if one.psnr is not None]
    by_pair = [np.mean([answer.value for answer in answers if answer.sample == number]) for number in rated]
    expected = stats.spearmanr(by_pair, [facts[number].psnr for number in rated]).statistic
    assert evaluate_answers("rate", facts, answers).psnr_correlation == pytest.approx(expected)


@pytest.mark.slow
def test_intervals_hold_as_often_as_they_say():
    """In 300 studies of 19 people, of the mean that 4,000 such people give."""
    facts = facts_to_rate(6)
    truth = means(facts, simulated(facts, 4000, seed=10**6), "new").mean()
    inside = 0
    for seed in range(300):
        group = evaluate_answers("rate", facts, simulated(facts, 19, seed)).groups[0]
        inside += group.estimate.low <= truth <= group.estimate.high
    assert stats.binomtest(inside, 300, 0.95).pvalue > 0.001


def test_several_games_are_shown_alone_and_together():
    facts = facts_to_rate(4, ("G", "H"))
    results = evaluate_answers("rate", facts, simulated(facts, 3, seed=0))
    assert [(one.game, one.name) for one in results.groups] == [
        (game, name) for game in ("G", "H", "all") for name in ("new", "old", REAL)
    ]
    assert [one.game for one in results.differences] == ["G", "H", "all"]


def test_with_a_single_participant_the_clips_vary():
    facts = facts_to_rate(12)
    answers = simulated(facts, 1, seed=2)
    results = evaluate_answers("rate", facts, answers)
    x = [answer.value for answer in answers if facts[answer.sample].second == "new"]
    assert results.varying == "clips" and results.groups[0].estimate.standard_error == pytest.approx(stats.sem(x))


def choices(facts: list[Facts], raters: int, preferred: float, left: float = 0.0) -> list[Answer]:
    """People who choose the second model so often, and the left clip by habit so often."""
    rng, answers = np.random.default_rng(3), []
    for rater in range(raters):
        for number in range(len(facts)):
            swapped = bool(rng.integers(2))
            value = float(rng.random() < preferred)
            if rng.random() < left:
                value = float(swapped)
            answers.append(Answer(f"r{rater}", number, value, swapped, 1.0))
    return answers


def test_choices():
    facts = [Facts("G", "old", "new", scene, action) for scene in range(20) for action in ("LEFT", "JUMP")]
    answers = choices(facts, 12, 0.75)
    answers[0] = Answer("r0", 0, 0.5, False, 1.0)
    results = evaluate_answers("choose", facts, answers)
    x = [np.mean([a.value for a in answers if a.rater == f"r{r}"]) for r in range(12)]
    interval = stats.ttest_1samp(x, 0.5).confidence_interval(0.95)
    whole, *by_action = results.groups
    assert results.compared == ("old", "new") and [one.name for one in by_action] == ["LEFT", "JUMP"]
    assert (whole.estimate.low, whole.estimate.high) == pytest.approx((interval.low, interval.high))
    assert whole.counts["0.5"] == 1 and 0.65 < whole.estimate.mean < 0.85
    assert results.left.low < 0.5 < results.left.high


def test_a_habit_of_choosing_the_left_clip_is_seen():
    facts = [Facts("G", "old", "new", scene, "LEFT") for scene in range(60)]
    results = evaluate_answers("choose", facts, choices(facts, 6, 0.5, left=0.6))
    assert results.left.low > 0.6


def test_what_cannot_be_known_is_no_number():
    facts = facts_to_rate(3)
    alike = [Answer(f"r{rater}", number, 3.0, False, 2.0) for rater in range(3) for number in range(len(facts))]
    between = [Facts("G", "old", "new", scene, "LEFT") for scene in range(3)]
    neither = [Answer(f"r{rater}", number, 0.5, False, 2.0) for rater in range(3) for number in range(3)]
    rated = "\n".join(evaluate_answers("rate", facts, alike).lines())
    chosen = "\n".join(evaluate_answers("choose", between, neither).lines())
    assert "nan" not in rated + chosen and "correlation of ratings and PSNR: unknown" in rated


def test_nobody_has_answered():
    with pytest.raises(DataError, match="nobody"):
        evaluate_answers("rate", facts_to_rate(1), [])


@pytest.mark.parametrize("raters", [1, 2, 5])
@pytest.mark.parametrize("kind", ["rate", "choose"])
def test_results_are_written_and_drawn(rating_study, choosing_study, tmp_path, kind, raters):
    whole = rating_study if kind == "rate" else choosing_study
    path = tmp_path / "mine.sqlite"
    path.write_bytes(whole.path.read_bytes())
    study = StudyFile(path)
    for rater in range(raters):
        for number in range(4):  # of somebody who stopped
            study.put(Answer(f"r{rater}", number, float(number % 2), False, 1.0 + number))
    results = study_results(file=path)
    written = json.loads((tmp_path / "mine-results" / "results.json").read_text())
    assert written["answers"] == results.answers == 4 * raters and results.complete == 0
    picture = cv2.imread(str(tmp_path / "mine-results" / "results.png"))
    assert picture.shape[0] > 400 and picture.std() > 10
    assert all(isinstance(line, str) for line in results.lines())
