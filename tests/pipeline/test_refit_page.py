"""The page holds every figure, escapes what it is given, and embeds its pictures."""

import base64
import json
import re

import imageio.v3 as imageio
import numpy as np

from genie_gym.pipeline.figures import write_strip
from genie_gym.pipeline.refit_page import write_page

SETTINGS = {"game": "Toy-Numpy", "checkpoint": None, "data": "/some where/<toy>", "data_from": "rnd", "lr": 0.3}


def scored(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    psnr = rng.uniform(20, 40, (2, 10)).round(4).tolist()
    return {
        "reconstruction": {"psnr": 41.25},
        "prediction": {"psnr": psnr[0], "moving_psnr": psnr[1], "ssim_t4": 0.75},
        "control": {"delta_psnr": 1.5, "delta_psnr_error": None},
        "uncertainty": 0.25,
    }


def rounds() -> list[dict]:
    one = {
        "dream": {"steps": 2048, "reward": 0.3, "places": None, "seconds": 0.0},
        "explore": {"steps": 12345, "reward": 0.4321, "places": 77, "seconds": 60.0},
        "collect": {"episodes": 3, "steps": 999, "seconds": 30.0},
        "tune": {"decoder": {"psnr": 39.5}, "dynamics": {"cross_entropy": 1.25}, "seconds": 90.0},
        "places": {"error": "no <such> game", "seconds": 0.0},
        "score on test play": {"without": scored(1), "with": scored(2), "recording": "/un seen", "seconds": 0.0},
    }
    two = {"places": {"toy: random-0": {"frames": 500, "pictures": 55, "positions": None}, "seconds": 60.0}}
    return [one, two]


def test_the_page_holds_every_figure(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    html = write_page(tmp_path, "Toy-Numpy", rounds()).read_text()
    cells = "".join(f"<td>{cell}</td>" for cell in ("1", "2,048", "12,345", "0.4321", "77", "999", "39.5", "1.25", "3"))
    assert f"<tr>{cells}</tr>" in html
    assert "no &lt;such&gt; game" in html and "<toy>" not in html
    assert "<td>2</td><td>toy: random-0</td><td>500</td><td>55</td><td>-</td>" in html
    for seed, model in ((1, "without"), (2, "with")):
        four = f"{scored(seed)['prediction']['psnr'][3]:.4g}"
        assert re.search(rf"<td>test play</td><td>{model}</td><td>41.25</td><td>[\d.]+</td><td>{four}</td>", html)
    command = "genie-gym refit Toy-Numpy --rounds 2 --data '/some where/&lt;toy&gt;' --data-from rnd --lr 0.3"
    assert f"{command} --test '/un seen'".replace("'", "&#x27;") in html
    assert f"{tmp_path / 'round-1' / 'checkpoint'}" in html


def test_pictures_are_embedded(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    frames = np.random.default_rng(0).integers(0, 256, (3, 2, 8, 8, 3), np.uint8)
    strip = tmp_path / "round-1" / "pictures" / "test-play" / "with" / "prediction.png"
    write_strip(strip, frames)
    html = write_page(tmp_path, "Toy-Numpy", rounds()).read_text()
    images = [base64.b64decode(one) for one in re.findall(r'src="data:image/png;base64,([^"]+)"', html)]
    assert len(images) == 2  # the curves and the strip
    assert images[1] == strip.read_bytes()
    curves = imageio.imread(images[0])
    assert curves.shape[1] > 1000 and curves.std() > 5
    assert "Round 1: test play, with refit" in html


def test_a_page_of_nothing_yet(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    html = write_page(tmp_path, "Toy-Numpy", [{}]).read_text()
    assert "round-0" in html and "data:image" not in html
