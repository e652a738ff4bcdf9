"""The clips of a study: those of the data and of the model, in the numbers asked for."""

import cv2
import numpy as np
import pytest
import torch

from genie_gym.data import EpisodeDataset
from genie_gym.data.splits import split
from genie_gym.errors import ConfigError, DataError
from genie_gym.studies import open_study
from genie_gym.studies.store import REAL, StudyFile
from genie_gym.world_model import Checkpoint


def frames_of(study: StudyFile, number: int, second: bool) -> np.ndarray:
    strip = cv2.imdecode(np.frombuffer(study.clip(number, second), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    return strip.reshape(study.plan.frames, 64, 64, 3)


def test_pairs_to_rate_are_shared_out_evenly_and_made_of_the_same_clips(rating_study):
    by_source = {name: [] for name in ("good", "bad", REAL)}
    for number, facts in enumerate(rating_study.facts):
        by_source[facts.second].append((facts.scene, frames_of(rating_study, number, False)))
    assert [len(pairs) for pairs in by_source.values()] == [8, 8, 8]
    for pairs in zip(*by_source.values(), strict=True):
        assert len({scene for scene, _ in pairs}) == 1
        assert all((clip == pairs[0][1]).all() for _, clip in pairs)


def test_real_clips_are_held_out_ones_and_pairs_of_two_are_equal(rating_study, toy_models):
    dataset = EpisodeDataset(toy_models[2])
    held_out = [dataset[index].frames for index in split(dataset)[1]]
    for number, facts in enumerate(rating_study.facts):
        clip = frames_of(rating_study, number, False)
        found = [
            (clip == episode[start : start + len(clip)]).all()
            for episode in held_out
            for start in range(len(episode) - len(clip) + 1)
        ]
        assert any(found)
        if facts.second == REAL:
            assert (clip == frames_of(rating_study, number, True)).all() and facts.psnr is None


def test_a_dream_begins_with_the_real_frames_and_its_psnr_is_that_of_what_follows(rating_study):
    number = next(i for i, facts in enumerate(rating_study.facts) if facts.second == "good")
    real, dreamt = (frames_of(rating_study, number, second) for second in (False, True))
    assert (real[:2] == dreamt[:2]).all() and (real[2:] != dreamt[2:]).any()
    errors = [np.mean((real[t].astype(float) - dreamt[t]) ** 2) for t in range(2, 16)]
    expected = np.mean([10 * np.log10(255**2 / error) for error in errors])
    assert rating_study.facts[number].psnr == pytest.approx(expected)


def test_reconstructions_are_the_tokenizers(toy_models, tmp_path):
    good, _, data = toy_models
    given = {"models": (good,), "data": (data,), "file": tmp_path / "s", "samples": 4, "frames": 5, "device": "cpu"}
    study = open_study(shown="reconstruction", **given)
    tokenizer = Checkpoint.load(good).model.tokenizer
    number = next(i for i, facts in enumerate(study.facts) if facts.second == "good")
    clip = torch.from_numpy(frames_of(study, number, False)[None].transpose(0, 1, 4, 2, 3) / 255).float()
    with torch.no_grad():
        expected = tokenizer.decode(tokenizer.encode(clip))[0].numpy().transpose(0, 2, 3, 1) * 255
    assert np.abs(frames_of(study, number, True) - expected.clip(0, 255)).max() <= 1.01


def test_both_models_dream_the_same_actions_from_the_same_frame(choosing_study):
    actions = [facts.action for facts in choosing_study.facts]
    assert actions == ["RIGHT", "LEFT", "JUMP"] * 4 and len({f.scene for f in choosing_study.facts}) == 4
    for number in range(12):
        first, second = (frames_of(choosing_study, number, one) for one in (False, True))
        assert (first[0] == second[0]).all() and (first[1:] != second[1:]).any()
    by_action = [frames_of(choosing_study, number, False) for number in range(3)]
    assert all((clip[0] == by_action[0][0]).all() for clip in by_action)
    assert any((clip[1:] != by_action[0][1:]).any() for clip in by_action)


def test_pictures_to_begin_from(toy_models, tmp_path):
    (tmp_path / "starts").mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / "starts" / f"{number}.png"), picture[..., ::-1])
    given = {"models": toy_models[:2], "data": toy_models[2:], "file": tmp_path / "s", "samples": 6, "device": "cpu"}
    study = open_study(kind="choose", starts=tmp_path / "starts", actions=("JUMP",), frames=4, **given)
    assert {facts.action for facts in study.facts} == {"JUMP"}
    for number, facts in enumerate(study.facts):
        assert (frames_of(study, number, False)[0] == pictures[facts.scene]).all()


def test_the_same_seed_makes_the_same_study(rating_study, toy_models, tmp_path):
    good, bad, data = toy_models
    given = {"models": (good, bad), "data": (data,), "samples": 24, "device": "cpu"}
    again, other = open_study(file=tmp_path / "a", **given), open_study(file=tmp_path / "b", seed=1, **given)
    assert again.facts == rating_study.facts and other.facts != rating_study.facts
    assert all(again.clip(number, True) == rating_study.clip(number, True) for number in range(24))


def test_a_file_is_continued_and_not_replaced_by_another_study(rating_study, toy_models):
    assert open_study(file=rating_study.path).facts == rating_study.facts
    with pytest.raises(ConfigError, match="another samples"):
        open_study(models=toy_models[:2], data=(toy_models[2],), file=rating_study.path, samples=3)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"kind": "choose", "models": ("good",)}, ConfigError),
        ({"kind": "choose", "labels": ("a", "a")}, ConfigError),
        ({"kind": "choose", "actions": ("FLY",)}, ConfigError),
        ({"labels": ("a", "a")}, ConfigError),
        ({"labels": (REAL, "a")}, ConfigError),
        ({"labels": ("a",)}, ConfigError),
        ({"samples": 2}, ConfigError),
        ({"context": 16}, ConfigError),
        ({"kind": "compare"}, ConfigError),
        ({"shown": "real"}, ConfigError),
        ({"frames": 60}, DataError),
        ({"models": ()}, DataError),
        ({"kind": "choose", "starts": "nowhere"}, DataError),
    ],
    ids=str,
)
def test_what_cannot_be_studied(toy_models, tmp_path, options, error):
    given = {"models": toy_models[:2], "data": (toy_models[2],), "file": tmp_path / "s", "device": "cpu"} | options
    given["models"] = tuple(toy_models[0] if one == "good" else one for one in given["models"])
    with pytest.raises(error):
        open_study(**given)
    assert not (tmp_path / "s").exists()
