"""Buttons found in a world of latent actions: the choice worked out by hand, and figures on codes known before."""

import numpy as np
import pytest
from rich.console import Console

from genie_gym import data, games
from genie_gym.errors import ConfigError
from genie_gym.world_model.actions import fit_action_map as fit_action_map_module
from genie_gym.world_model.actions.fit_action_map import choose_codes, fit_action_map, summary
from genie_gym.world_model.actions.latent_relabel import latent_game
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record

CODES = np.array([3, 0, 4, 1])  # of the toy's four actions


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> data.EpisodeDataset:
    return data.EpisodeDataset(record(tmp_path_factory.mktemp("toy"), 8, 40))


@pytest.mark.parametrize(
    ("counts", "codes"),
    [
        # rows are codes, columns actions; code 0 is seen most after each of them
        ([[80, 60, 70], [10, 40, 0], [10, 0, 30]], [0, 1, 2]),
        ([[800, 6, 7], [100, 4, 0], [100, 0, 3]], [0, 1, 2]),  # how often an action is taken does not count
        ([[9, 0, 4], [0, 9, 5]], [0, 1, 1]),  # too few codes: the last action shares one
        ([[2, 0, 0], [7, 0, 1], [0, 0, 0]], [0, 1, 1]),  # the second was never seen: it gets the most frequent code
    ],
)
def test_the_choice(counts, codes):
    assert choose_codes(np.array(counts)) == codes


def found_with(share: float, monkeypatch) -> None:
    """Codes that follow the actions in this share of steps, and are code 2 in the others."""

    def found(recording, model):
        rng = np.random.default_rng(0)
        actions = [recording.steps(i)[0] for i in range(len(recording))]
        codes = [np.where(rng.random(len(one)) < share, CODES[one], 2) for one in actions]
        return recording.with_actions(latent_game(recording.header["game"], model.config.codes), codes)

    monkeypatch.setattr(fit_action_map_module, "relabel_with_latent_actions", found)


def test_codes_that_are_the_actions(recording, monkeypatch):
    found_with(1, monkeypatch)
    buttons = fit_action_map(untrained_latent(), recording)
    assert buttons.codes == CODES.tolist()
    assert buttons.actions == recording.header["game"]["actions"]
    assert buttons.fit.explained == 1 and buttons.fit.agreement.nmi == pytest.approx(1)
    assert buttons.fit.agreement.shuffled_nmi < 0.4


def test_figures_are_those_of_held_out_steps(recording, monkeypatch):
    found_with(0.6, monkeypatch)
    buttons = fit_action_map(untrained_latent(), recording)
    assert buttons.codes == CODES.tolist()
    found = fit_action_map_module.relabel_with_latent_actions(recording, untrained_latent().model.latent_actions)
    held_out = data.split(recording)[1]
    codes, actions = (np.concatenate([which[int(i)].actions for i in held_out]) for which in (found, recording))
    fit = buttons.fit
    assert fit.agreement.steps == len(codes)
    assert fit.explained == pytest.approx(np.mean(codes == CODES[actions]), abs=1e-4)
    assert fit.one_code == pytest.approx(np.bincount(codes).max() / len(codes), abs=1e-4)
    taken = np.concatenate([recording[int(i)].actions for i in data.split(recording)[0]])
    for index, row in enumerate(fit.actions):
        assert row.meaning == games.find("Toy").meanings[index] and row.code == CODES[index]
        assert row.steps == (taken == index).sum()
        there = codes[actions == index]
        assert row.explained == (pytest.approx(np.mean(there == CODES[index]), abs=1e-4) if len(there) else None)

    console = Console(width=100)
    with console.capture() as captured:
        console.print(summary(buttons))
    assert f"{fit.explained:.0%} of {len(codes)} unseen steps" in captured.get() and "JUMP" in captured.get()


@pytest.mark.parametrize(("share", "warned"), [(0.9, False), (0, True)])
def test_a_map_no_better_than_one_code_for_all_says_so(recording, monkeypatch, share, warned):
    found_with(share, monkeypatch)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(summary(fit_action_map(untrained_latent(), recording)))
    assert ("do not stand for buttons" in captured.get()) == warned


def test_an_untrained_models_own_codes(recording):
    buttons = fit_action_map(untrained_latent(), recording)
    assert len(buttons.codes) == 4 and set(buttons.codes) <= set(range(5))
    assert buttons.fit.agreement.steps == sum(len(recording[int(i)].actions) for i in data.split(recording)[1])
    assert 0 <= buttons.fit.explained <= 1


def test_what_cannot_be_mapped(recording, tmp_path):
    with pytest.raises(ConfigError, match="Toy-Numpy was trained on real actions: there is nothing to map"):
        fit_action_map(untrained(), recording)
    header = {"game": games.find("Toy").to_dict(), "actions": games.find("Toy").meanings, "no_actions": True}
    with data.EpisodeWriter(tmp_path, header) as writer:
        writer.append(recording[0])
    with pytest.raises(ConfigError, match="was recorded without actions; give episodes whose actions are known"):
        fit_action_map(untrained_latent(), data.EpisodeDataset(tmp_path))
