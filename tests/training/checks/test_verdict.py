"""What is said when a training has ended: honest figures, and what to do."""

from dataclasses import replace

import pytest

from genie_gym.training.checks.verdict import judge, minutes_needed
from genie_gym.training.loop.trainer import StageReport
from genie_gym.training.presets import get_preset

RECIPES = get_preset("tiny-transformer").plan(None, 0)
AGAIN = dict.fromkeys(RECIPES, "train with --minutes 99")


def stages(dreams: float = 26.0, repeat: float = 22.0, pictures: float = 33.0, codes: float = 900, share: float = 1):
    steps = {name: int(share * recipe.steps) for name, recipe in RECIPES.items()}
    return {
        "tokenizer": StageReport(steps["tokenizer"], 60.0, {"psnr": pictures, "codes": codes}),
        "dynamics": StageReport(steps["dynamics"], 60.0, {"psnr": dreams, "repeat_psnr": repeat}),
    }


def judged(found, **options):
    return judge(found, RECIPES, 1024, AGAIN, 5000, **options)


def test_a_good_model_is_told_its_figures():
    verdict = judged(stages())
    assert verdict.good and (verdict.psnr, verdict.repeat_psnr) == (26.0, 22.0)
    for figure in ("26.0 dB", "22.0 dB", "4.0 dB", "33.0 dB", "900 of 1,024"):
        assert figure in str(verdict), figure


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (stages(dreams=21.0), ["no better than repeating", "record more", "5,000 frames"]),
        (stages(dreams=22.1), ["hardly better", "record more"]),
        (stages(dreams=21.0, pictures=22.0), ["no better than repeating", "tokenizer", "22.0 dB", "train it longer"]),
        (stages(dreams=48.0, repeat=48.0), ["hardly anything moves", "record play"]),
        (stages(share=0.1), ["240 optimiser steps", "2,400", "500 optimiser steps", "5,000", "--minutes 99"]),
        (stages(codes=20), ["20 of 1,024", "dead", "record more varied"]),
    ],
    ids=["worse", "hardly better", "poor pictures", "still", "too few steps", "dead codes"],
)
def test_what_is_wrong_is_said_with_what_to_do(found, words):
    verdict = judged(found)
    assert not verdict.good
    for word in words:
        assert word in str(verdict), word


def test_few_codes_are_enough_for_simple_pictures():
    assert judged(stages(codes=20, pictures=40.0)).good


def test_one_latent_action_for_everything_is_a_fault():
    recipes = get_preset("tiny-transformer").plan(None, 0, latent=True)
    found = {**stages(), "latent_actions": StageReport(4000, 1.0, {"psnr": 20.0, "codes": 1.0})}
    again = dict.fromkeys(recipes, "")
    assert not judge(found, recipes, 1024, again, 5000).good
    found["latent_actions"] = replace(found["latent_actions"], metrics={"psnr": 20.0, "codes": 5.0})
    assert judge(found, recipes, 1024, again, 5000).good


def test_a_training_of_an_earlier_version_gets_none():
    found = stages()
    found["dynamics"] = replace(found["dynamics"], metrics={"accuracy": 0.9})
    assert judged(found) is None


def test_minutes_for_the_recipes_steps():
    assert minutes_needed(stages(share=0.1), RECIPES, 3.0) == 30
    assert minutes_needed(stages(share=2), RECIPES, 3.0) == 3
