"""Checkpoints that are damaged or hostile: one line that says so, at once, whatever they ask for."""

import json
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from genie_gym.errors import CheckpointError, ConfigError, GenieGymError
from genie_gym.models.dynamics import DynamicsConfig
from genie_gym.models.lam import LatentActionConfig
from genie_gym.models.tokenizer import TokenizerConfig
from genie_gym.models.upscaler import UpscalerConfig
from genie_gym.training.presets import PRESETS
from genie_gym.world_model import Checkpoint
from tests.checkpoint_files import change_config, part, read_config, reseal
from tests.conftest import LONG, untrained, untrained_latent, untrained_upscaler
from tests.fuzz import damage_json, mutate_bytes


@pytest.fixture(autouse=True)
def hangs_are_errors():
    def late(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder(upscaled_checkpoint, tmp_path) -> Path:
    return Path(shutil.copytree(upscaled_checkpoint, tmp_path / "checkpoint"))


@pytest.fixture(scope="module")
def latent(tmp_path_factory) -> Path:
    """A checkpoint with all that one can have."""
    checkpoint = untrained_latent()
    checkpoint.upscaler = untrained_upscaler()
    folder = tmp_path_factory.mktemp("latent")
    checkpoint.save(folder)
    real = untrained().game["actions"]
    change_config(folder, action_map={"actions": real, "codes": [0] * len(real), "fit": None})
    return folder


def use(folder: Path, steps: bool = True) -> None:
    """What a user does with it: any error must be one that is meant for him, and can be printed."""
    signal.alarm(30)
    try:
        loaded = Checkpoint.load(folder)
        assert loaded.card()
        if steps and loaded.sampling.steps < 10:
            contexts = loaded.initial_contexts
            state, _ = loaded.model.start(contexts["frames"][:1], contexts["actions"][:1].clamp(0, 0))
            loaded.model.step(state, torch.tensor([0]), loaded.sampling)
    except GenieGymError as error:
        assert str(error).isprintable() and len(str(error)) < 2000 + len(str(folder))
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("inputs", [150, pytest.param(10_000, marks=LONG)])
@pytest.mark.filterwarnings("ignore")
def test_any_config_loads_or_is_refused(latent, tmp_path, inputs):
    folder = Path(shutil.copytree(latent, tmp_path / "checkpoint"))
    rng, plain = np.random.default_rng(inputs), read_config(latent)
    use(folder)
    for _ in range(inputs):
        (folder / "config.json").write_bytes(damage_json(rng, plain))
        use(folder)


@pytest.mark.parametrize("inputs", [60, pytest.param(10_000, marks=LONG)])
@pytest.mark.filterwarnings("ignore")
def test_any_tensor_file_loads_or_is_refused(latent, tmp_path, inputs):
    """Its checksum is right, or nothing would look inside. Half of the changes are in the header."""
    rng = np.random.default_rng(inputs)
    for number in range(inputs):
        folder = Path(shutil.copytree(latent, tmp_path / f"{number}"))
        file = part(folder, ("model", "contexts", "upscaler")[number % 3])
        content = file.read_bytes()
        header = 8 + int.from_bytes(content[:8], "little")
        damaged = mutate_bytes(rng, content[:header]) + content[header:] if number % 2 else mutate_bytes(rng, content)
        file.write_bytes(damaged)
        reseal(folder)
        use(folder, steps=False)
        shutil.rmtree(folder)


def cost(folder: Path) -> tuple[str, float, float]:
    """The error of loading a checkpoint, the seconds and the megabytes that it took, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)
        before, started, said = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), "loaded"
        try:
            Checkpoint.load(folder)
        except GenieGymError as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        taken = time.monotonic() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        os.write(writer, json.dumps([said[:3000], taken, grown]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        answer = file.read()
    os.waitpid(child, 0)
    return tuple(json.loads(answer))


ABSURD = {
    "a wide dynamics": ({"dynamics": {"dim": 20_000}}, "dim must be .* 8,192; got 20000"),
    "many blocks": ({"dynamics": {"blocks": 65_536}}, "blocks must be .* 256; got 65536"),
    "many blocks of the tokenizer": ({"tokenizer": {"encoder_blocks": 65_536}}, "encoder_blocks must be .*; got 65536"),
    "all at the limit": ({"dynamics": {"dim": 8192, "blocks": 256}}, "billion weights, more than 4 billion"),
    "wide within the limits": ({"dynamics": {"dim": 4096, "blocks": 8}}, "bytes; by config.json"),
    "many codes": ({"tokenizer": {"codes": 2**40}}, "codes must be"),
    "codes within the limits": ({"tokenizer": {"codes": 65_536, "code_dim": 1024}}, "bytes; by config.json"),
    "a long window": ({"dynamics": {"window": 10**9}}, "window must be .* 512"),
    "many heads": ({"dynamics": {"heads": 10**6}}, "heads must be"),
    "large frames": ({"tokenizer": {"size": 2**20, "patch": 2}}, "size must be .* 512"),
    "a large upscaler": ({"upscaler": {"widths": [10**6] * 4}}, "widths must be"),
    "a deep upscaler": ({"upscaler": {"blocks": 10**6}}, "blocks must be"),
    "a number of a thousand digits": ({"dynamics": {"dim": 10**1000}}, "dim must be"),
}


@pytest.mark.parametrize(("change", "words"), ABSURD.values(), ids=ABSURD.keys())
def test_absurd_sizes_cost_nothing(folder, change, words):
    plain = read_config(folder)
    change_config(folder, **{name: plain[name] | sizes for name, sizes in change.items()})
    said, seconds, megabytes = cost(folder)
    assert re.search(words, said), said
    assert seconds < 2 and megabytes < 300


def long_header(file: Path) -> None:
    file.write_bytes((2**60).to_bytes(8, "little") + file.read_bytes()[8:])


def huge_tensor(file: Path) -> None:
    content = file.read_bytes()
    digits = re.search(rb'"shape":\[([0-9,]+)', content)
    assert digits
    first, last = digits.span(1)
    file.write_bytes(content[:first] + b"9" * (last - first) + content[last:])


def endless(file: Path) -> None:
    os.truncate(file, 2**42)  # a hole: it takes no room


@pytest.mark.parametrize("kind", ["model", "contexts", "upscaler"])
@pytest.mark.parametrize("damage", [long_header, huge_tensor, endless])
def test_absurd_files_cost_nothing(folder, kind, damage):
    damage(part(folder, kind))
    if damage is not endless:
        reseal(folder)
    said, seconds, megabytes = cost(folder)
    assert f"{kind}-" in said and "is missing or damaged" in said
    assert seconds < 2 and megabytes < 300


def test_an_endless_config_costs_nothing(folder):
    os.truncate(folder / "config.json", 2**42)
    said, seconds, megabytes = cost(folder)
    assert "config.json is damaged" in said and seconds < 2 and megabytes < 300


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("name", ["config.json", "model", "contexts", "upscaler"])
@pytest.mark.parametrize("put", [pipe, device, circle, Path.mkdir])
def test_what_is_no_file_is_refused_at_once(folder, name, put):
    file = folder / name if name == "config.json" else part(folder, name)
    file.unlink()
    put(file)
    signal.alarm(20)
    with pytest.raises(CheckpointError, match=file.name):
        Checkpoint.load(folder)
    if put != Path.mkdir:
        with pytest.warns(RuntimeWarning, match="is replaced"):
            untrained().save(folder)
        Checkpoint.load(folder)


@pytest.mark.parametrize(
    "build",
    [
        lambda: DynamicsConfig(4, dim=20_000),
        lambda: DynamicsConfig(4, dim=8192, blocks=256),
        lambda: DynamicsConfig(10**6),
        lambda: DynamicsConfig(4, codes=0),
        lambda: DynamicsConfig(4, tdce=float("nan")),
        lambda: DynamicsConfig(True),
        lambda: DynamicsConfig(4, token_input="yes"),
        lambda: TokenizerConfig(decoder_blocks=65_536),
        lambda: TokenizerConfig(patch=7),
        lambda: TokenizerConfig(heads=3),
        lambda: LatentActionConfig(codes=10**9),
        lambda: LatentActionConfig(dim="wide"),
        lambda: UpscalerConfig(widths=(10**9,)),
        lambda: UpscalerConfig(widths=()),
        lambda: UpscalerConfig(scale=1000),
    ],
)
def test_sizes_out_of_range_are_refused_by_the_configurations(build):
    with pytest.raises(ConfigError):
        build()


def test_the_presets_and_numbers_of_numpy_are_within_the_limits():
    assert all(preset.dynamics_for(1024).num_actions == 1024 for preset in PRESETS.values())
    assert DynamicsConfig(np.int64(4), dim=np.int32(64), heads=np.int64(4)).dim == 64
