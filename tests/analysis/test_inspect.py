"""The figures are those of the findings, and the page holds them with their images."""

import base64
import json
import re

import imageio.v3 as imageio
import numpy as np
import pytest
from rich.console import Console

from genie_gym import data
from genie_gym.analysis.actions import action_differences
from genie_gym.analysis.findings import HELD_STEPS, NUM_CONTEXTS, analyse, swapped_by_kind
from genie_gym.analysis.inspect import FRAMES_PER_CLIP, inspect
from genie_gym.analysis.report import COLUMNS, SHOWN_CLIPS
from genie_gym.analysis.samples import imagined_clips
from genie_gym.analysis.uncertainty import IN_DISTRIBUTION
from genie_gym.errors import ConfigError, DataError
from genie_gym.metrics.image import psnr
from tests.conftest import untrained, untrained_latent
from tests.toy_play import record


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> data.EpisodeDataset:
    return data.EpisodeDataset(record(tmp_path_factory.mktemp("a <toy>"), 4, 30))


@pytest.fixture(scope="module")
def report(dataset, tmp_path_factory):
    return inspect(untrained(), dataset, clips=3, seed=1, out=tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def findings():
    checkpoint = untrained()
    return analyse(checkpoint, imagined_clips(checkpoint, 3, FRAMES_PER_CLIP))


def test_figures_are_those_of_the_findings(findings):
    figures, clips = findings.figures(), findings.clips
    for kind, shown in swapped_by_kind(findings.swapped).items():
        found = figures.swapped_codes[kind]
        assert found.psnr == pytest.approx(psnr(shown, clips.frames).mean())
        off = np.abs(shown.astype(float) - findings.swapped.reconstruction).mean()
        assert found.difference == pytest.approx(off)
    entropy = findings.next_frame.entropy
    for found, values, where in (
        (figures.moving_patches, entropy, findings.changes > 5),
        (figures.wrong_patches, entropy, findings.next_frame.wrong),
        (figures.moving_patches_ahead, findings.ahead, findings.changes_ahead > 5),
    ):
        for mean, chosen in ((found.positive, values[where]), (found.negative, values[~where])):
            assert mean == pytest.approx(chosen.mean() if chosen.size else np.nan, nan_ok=True)
    aligned = np.abs(clips.frames[:, 5:].astype(int) - clips.frames[:, 3:-2]).max(-1)  # untrained: two frames ahead
    assert findings.changes_ahead[:, 2:].max() == aligned.max()
    assert findings.changes_ahead.shape == findings.ahead.shape
    assert figures.codebook.tokens == 3 * FRAMES_PER_CLIP * 16 == findings.usage.counts.sum()
    assert figures.reward["noise"] == pytest.approx(findings.rewards["noise"].mean())
    assert figures.reward_auroc.keys() == figures.reward.keys() - {IN_DISTRIBUTION}
    differences = action_differences(findings.rollouts, findings.other_noise)
    np.testing.assert_allclose(figures.action_differences, differences)
    assert findings.rollouts.shape[:3] == (3, 4, HELD_STEPS)


def test_every_action_is_rolled_out_from_a_few_contexts_only():
    checkpoint = untrained()
    assert (
        len(analyse(checkpoint, imagined_clips(checkpoint, NUM_CONTEXTS + 2, FRAMES_PER_CLIP)).rollouts) == NUM_CONTEXTS
    )


def test_the_same_call_gives_the_same_figures(dataset, report, tmp_path):
    written = json.loads((report.page.parent / "figures.json").read_text())
    assert written == json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert written["dataset"] == str(dataset.folder) and written["clips"] == 3
    again = inspect(untrained(), dataset, clips=3, seed=1, out=tmp_path)
    assert again.to_dict() == report.to_dict()
    other = inspect(untrained(), dataset, clips=3, seed=2, out=tmp_path)
    assert other.figures.swapped_codes != report.figures.swapped_codes


def test_the_page_holds_the_images_and_the_figures(report):
    html = report.page.read_text()
    images = [imageio.imread(base64.b64decode(one)) for one in re.findall(r"png;base64,([^\"]+)", html)]
    rows = [image for image in images if image.shape == (128, (COLUMNS * 65 - 1) * 2, 3)]
    assert len(rows) == SHOWN_CLIPS * (5 + 4)  # frames, three kinds of codes and tokens; frames, two maps and change
    rollouts = [image for image in images if image.shape == (128, (HELD_STEPS * 65 + 64) * 2, 3)]
    assert len(rollouts) == 4 and len(images) == len(rows) + len(rollouts) + 2  # and two plots
    assert all(image.std() > 1 for image in images)
    for name in ("NOOP", "RIGHT", "a &lt;toy&gt;", "nearest", "furthest", "upside down"):
        assert name in html
    for kind in ("nearest", "furthest"):
        assert f"<td>{kind}</td><td>{report.figures.swapped_codes[kind].psnr:,.4g}</td>" in html
    assert "{" not in html.partition("</style>")[2] and "<toy>" not in html


def test_the_terminal_shows_the_main_figures(report):
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report)
    text = captured.get()
    assert "Toy-Numpy, analysed on held-out episodes" in text
    assert f"{report.figures.swapped_codes['nearest'].psnr:.1f} dB" in text
    assert f"{report.figures.reward['noise']:.3f}" in text


def test_without_a_dataset_the_clips_are_imagined(tmp_path):
    report = inspect(untrained(), clips=2, out=tmp_path)
    assert report.dataset is None and "imagined rollouts" in report.source
    assert "recorded episodes (--data) would say more" in report.page.read_text()


def test_a_latent_action_model(dataset, tmp_path):
    report = inspect(untrained_latent(), dataset, clips=2, out=tmp_path)
    assert report.actions == [f"LATENT {i}" for i in range(5)] and len(report.figures.action_differences) == 5


def test_refuses_what_cannot_be_analysed(dataset, tmp_path):
    for options, words in (({"clips": 0}, "clips must be 1 or more, got 0"), ({"threads": 0}, "threads")):
        with pytest.raises(ConfigError, match=words):
            inspect(untrained(), dataset, out=tmp_path, **options)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        inspect(untrained(), clips=1, out=tmp_path / "file")
