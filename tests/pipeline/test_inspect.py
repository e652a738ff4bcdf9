"""A look inside: its figures are those of the studies, its page holds them and their pictures."""

import base64
import json
import re

import imageio.v3 as imageio
import numpy as np
import pytest
from rich.console import Console

from genie_gym import data
from genie_gym.errors import ConfigError, DataError
from genie_gym.metrics import psnr
from genie_gym.pipeline.inspect import HELD, LENGTH, STARTS, inspect, study
from genie_gym.pipeline.inspect_page import COLUMNS, PICTURED
from genie_gym.pipeline.studies import action_differences, dreamed_play
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> data.Recording:
    return data.Recording(record(tmp_path_factory.mktemp("a <toy>"), 4, 30))


@pytest.fixture(scope="module")
def report(recording, tmp_path_factory):
    return inspect(untrained(), recording, pieces=3, seed=1, out=tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def findings():
    checkpoint = untrained()
    return study(checkpoint, dreamed_play(checkpoint, 3, LENGTH))


def test_figures_are_those_of_the_studies(findings):
    figures, play = json.loads(json.dumps(findings.figures(), allow_nan=False)), findings.play
    for kind, shown in findings.swapped.items():
        found = figures["swapped codes"][kind]
        assert found["psnr"] == pytest.approx(psnr(shown, play.frames).mean(), abs=1e-4)
        off = np.abs(shown.astype(float) - findings.swapped["reconstruction"]).mean()
        assert found["off reconstruction"] == pytest.approx(off, abs=1e-4)
    for name, kinds, values, where in (
        ("uncertainty", ("moving", "still"), findings.maps, findings.changes > 5),
        ("uncertainty where it is wrong", ("wrong", "right"), findings.maps, findings.wrong),
        ("uncertainty further ahead", ("moving", "still"), findings.ahead, findings.moved > 5),
    ):
        for kind, chosen in zip(kinds, (values[where], values[~where]), strict=True):
            expected = pytest.approx(chosen.mean(), abs=1e-4) if chosen.size else None
            assert figures[name][kind] == expected
    aligned = np.abs(play.frames[:, 5:].astype(int) - play.frames[:, 3:-2]).max(-1)  # untrained: two frames ahead
    assert findings.moved[:, 2:].max() == aligned.max() and findings.moved.shape == findings.ahead.shape
    assert figures["codebook"]["tokens looked at"] == 3 * LENGTH * 16 == findings.usage.counts.sum()
    assert figures["reward"]["noise"] == pytest.approx(findings.rewards["noise"].mean(), abs=1e-4)
    assert "play" not in figures["reward above that of play"]
    differences = action_differences(findings.strips, findings.again)
    np.testing.assert_allclose(figures["actions differ"], differences, atol=1e-4)
    assert findings.strips.shape[:3] == (3, 4, HELD)


def test_every_action_is_tried_from_a_few_starts_alone():
    checkpoint = untrained()
    assert len(study(checkpoint, dreamed_play(checkpoint, STARTS + 2, LENGTH)).strips) == STARTS


def test_the_same_call_gives_the_same_figures(recording, report, tmp_path):
    written = json.loads((report.page.parent / "figures.json").read_text())
    assert written == report.figures
    assert written["recording"] == str(recording.folder) and written["pieces"] == 3
    again = inspect(untrained(), recording, pieces=3, seed=1, out=tmp_path)
    assert again.figures == report.figures
    other = inspect(untrained(), recording, pieces=3, seed=2, out=tmp_path)
    assert other.figures["swapped codes"] != report.figures["swapped codes"]


def test_the_page_holds_the_pictures_and_the_figures(report):
    html = report.page.read_text()
    images = [imageio.imread(base64.b64decode(one)) for one in re.findall(r"png;base64,([^\"]+)", html)]
    rows = [image for image in images if image.shape == (128, (COLUMNS * 65 - 1) * 2, 3)]
    assert len(rows) == PICTURED * (5 + 4)  # play, three kinds of codes and tokens; play, two maps and change
    strips = [image for image in images if image.shape == (128, (HELD * 65 + 64) * 2, 3)]
    assert len(strips) == 4 and len(images) == len(rows) + len(strips) + 2  # and two plots
    assert all(image.std() > 1 for image in images)
    for name in ("NOOP", "RIGHT", "a &lt;toy&gt;", "nearest", "furthest", "upside down"):
        assert name in html
    for kind in ("nearest", "furthest"):
        assert f"<td>{kind}</td><td>{report.figures['swapped codes'][kind]['psnr']:,.4g}</td>" in html
    assert "$" not in html and "<toy>" not in html


def test_the_terminal_shows_the_main_figures(report):
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report)
    text = captured.get()
    assert "Toy-Numpy, studied on held-out play" in text
    assert f"{report.figures['swapped codes']['nearest']['psnr']:.1f} dB" in text
    assert f"{report.figures['reward']['noise']:.3f}" in text


def test_without_a_recording_the_model_dreams(tmp_path):
    report = inspect(untrained(), pieces=2, out=tmp_path)
    assert report.figures["recording"] is None and "own dreams" in report.source
    assert "recorded play (--data) would say more" in report.page.read_text()


def test_a_model_of_latent_actions(recording, tmp_path):
    figures = inspect(untrained_latent(), recording, pieces=2, out=tmp_path).figures
    assert figures["actions"] == [f"LATENT {i}" for i in range(5)] and len(figures["actions differ"]) == 5


def test_refuses_what_cannot_be_studied(recording, tmp_path):
    for options, words in (({"pieces": 0}, "pieces must be 1 or more, got 0"), ({"threads": 0}, "threads")):
        with pytest.raises(ConfigError, match=words):
            inspect(untrained(), recording, out=tmp_path, **options)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        inspect(untrained(), pieces=1, out=tmp_path / "file")
