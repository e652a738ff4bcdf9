"""The checkpoint folder: what is read back, what is refused, and that nothing in it is executed."""

import errno
import fnmatch
import json
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genie_gym.errors import CheckpointError, ConfigError, DataError
from genie_gym.utils.images import to_model
from genie_gym.world_model import Checkpoint, SamplingConfig
from genie_gym.world_model.metadata import DataUsed, StageRecord, TrainingMetadata
from tests.checkpoint_files import change_config, part, read_config, reseal
from tests.conftest import untrained, untrained_latent
from tests.fuzz import Bomb

METADATA = TrainingMetadata(
    "small", data=(DataUsed(10, 900, 9),), stages={"tokenizer": StageRecord(5, 1.0, {"psnr": 31.5})}
)


@pytest.fixture
def folder(toy_checkpoint, tmp_path) -> Path:
    """A whole checkpoint that may be damaged."""
    return Path(shutil.copytree(toy_checkpoint, tmp_path / "checkpoint"))


def step(checkpoint: Checkpoint) -> list[torch.Tensor]:
    sampling = checkpoint.sampling
    state, seen = checkpoint.model.start(
        checkpoint.initial_contexts["frames"][:2], checkpoint.initial_contexts["actions"][:2]
    )
    return [seen, *vars(checkpoint.model.step(state, torch.tensor([1, 2]), sampling)).values()]


def test_what_was_saved_steps_the_same(tmp_path):
    saved = untrained()
    saved.sampling = SamplingConfig(steps=3, temperature=0.5, min_p=0.1)
    saved.metadata = METADATA
    saved.save(tmp_path / "new" / "folder")
    loaded = Checkpoint.load(tmp_path / "new" / "folder")
    assert all(torch.equal(a, b) for a, b in zip(step(saved), step(loaded), strict=True))
    assert (loaded.game, loaded.sampling, loaded.metadata) == (saved.game, saved.sampling, saved.metadata)
    assert loaded.initial_contexts["frames"].dtype == torch.uint8
    assert all(
        torch.equal(saved.initial_contexts[name], loaded.initial_contexts[name]) for name in ("frames", "actions")
    )
    assert not loaded.model.training


def test_loading_spends_none_of_the_users_random_numbers(toy_checkpoint):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Checkpoint.load(toy_checkpoint)
    assert torch.equal(torch.rand(3), expected)


def test_the_users_default_dtype_is_his_own(toy_checkpoint):
    torch.set_default_dtype(torch.float64)
    try:
        loaded = Checkpoint.load(toy_checkpoint)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    floats = [value for value in loaded.model.state_dict().values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}


def test_a_device_that_is_none(toy_checkpoint):
    with pytest.raises(ConfigError, match="cannot use device 'gpu'"):
        Checkpoint.load(toy_checkpoint, "gpu")


def test_the_latent_action_model_is_kept(tmp_path):
    saved = untrained_latent()
    saved.save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(step(saved), step(loaded), strict=True))
    codes = loaded.model.latent_actions.codes(to_model(saved.initial_contexts["frames"]))
    assert len(codes.unique()) > 1 and torch.equal(codes, saved.initial_contexts["actions"])
    assert loaded.model.latent_actions.config == saved.model.latent_actions.config
    assert "A GenieRedux (latent actions) world model" in (tmp_path / "README.md").read_text()


def test_the_folder_holds_four_files_and_no_code(folder):
    names = {"README.md", "config.json", part(folder, "model").name, part(folder, "contexts").name}
    assert {path.name for path in folder.iterdir()} == names
    config = json.loads((folder / "config.json").read_text())
    assert config["format"] == "genie_gym world model" and config["game"]["name"] == "Toy-Numpy"


def test_the_card_says_how_it_was_made(tmp_path):
    checkpoint = untrained()
    checkpoint.metadata = METADATA
    checkpoint.save(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: genie_gym\n") and "World model of Toy-Numpy" in card
    assert "- data: 10 episodes" in card and "- tokenizer: 5 steps" in card and "- tokenizer psnr: 31.5" in card
    assert "upscaler" not in card and "notes" not in card


def test_saving_again_replaces_it(folder):
    other = untrained(seed=5)
    other.save(folder)
    assert all(torch.equal(a, b) for a, b in zip(step(other), step(Checkpoint.load(folder)), strict=True))


def test_a_save_that_fails_leaves_what_was_there(folder, monkeypatch):
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    written, sync = [], os.fsync

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="what was there before is intact"):
        untrained(seed=5).save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def change(**entries: object):
    return lambda folder: change_config(folder, **entries)


def drop_entry(name: str):
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        del config[name]
        (folder / "config.json").write_text(json.dumps(config))

    return damage


def flip_bit(kind: str):
    def damage(folder: Path) -> None:
        content = bytearray(part(folder, kind).read_bytes())
        content[-10] ^= 1  # in the values: the header, which says what they are, stands in front
        part(folder, kind).write_bytes(content)

    return damage


def resealed(damage):
    return lambda folder: (damage(folder), reseal(folder))


def write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def cut(kind: str):
    return lambda folder: os.truncate(part(folder, kind), part(folder, kind).stat().st_size // 2)


def remove(kind: str):
    return lambda folder: part(folder, kind).unlink()


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def cut_config(folder: Path) -> None:
    os.truncate(folder / "config.json", 200)


def drop_weight(folder: Path) -> None:
    weights = load_file(part(folder, "model"))
    save_file(dict(list(weights.items())[1:]), part(folder, "model"))


def foreign_starts(folder: Path) -> None:
    save_file({"pictures": torch.zeros(3)}, part(folder, "contexts"))


def change_sizes(**sizes: int):
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        change_config(folder, dynamics=config["dynamics"] | sizes)

    return damage


def no_patches(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    change_config(folder, tokenizer=config["tokenizer"] | {"patch": 0})


def starts_of_shape(*shape: int):
    starts = {"frames": torch.zeros(shape, dtype=torch.uint8), "actions": torch.zeros(2, 3, dtype=torch.int64)}
    return resealed(lambda folder: save_file(starts, part(folder, "contexts")))


def empty(folder: Path) -> None:
    part(folder, "model").write_bytes(b"")


DAMAGES = {
    "no folder": (shutil.rmtree, "is not a checkpoint: it has no config.json; give the folder"),
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "is not a checkpoint: it has no config.json; give the folder",
    ),
    "half a config": (
        lambda folder: os.truncate(folder / "config.json", 200),
        "config.json is damaged .*; copy the checkpoint again",
    ),
    "config of bytes": (write("config.json", b"\xff\xfe\x00"), "config.json is damaged"),
    "config a list": (write("config.json", b"[]"), "was not made by genie_gym"),
    "another's config": (write("config.json", b'{"model_type": "bert"}'), "was not made by genie_gym"),
    "newer": (change(version=99), "has version 99, this genie_gym reads version 2; upgrade with: pip install"),
    "older": (change(version=1), "has version 1, this genie_gym reads version 2; train the game again with"),
    "a new size": (change(tokenizer={"colours": 4}), "incomplete or damaged .*; copy it again, or train"),
    "sizes not a dict": (change(tokenizer=3), "incomplete or damaged"),
    "no dynamics": (drop_entry("dynamics"), "incomplete or damaged"),
    "no game": (drop_entry("game"), "incomplete or damaged"),
    "other sizes": (change_sizes(dim=32), "is missing or damaged .it has .* bytes; by config.json"),
    "patches of nothing": (no_patches, "incomplete or damaged"),
    "no window": (change_sizes(window=0), "incomplete or damaged .window must be a whole number"),
    "sampling of no steps": (change(sampling={"steps": -1}), "incomplete or damaged .sampling steps"),
    "no metadata": (drop_entry("metadata"), "incomplete or damaged"),
    "metadata that are a word": (change(metadata="x"), "incomplete or damaged"),
    "metadata of another kind": (change(metadata={"stages": [1]}), "incomplete or damaged"),
    "no weights": (remove("model"), "model-\\w*.safetensors is missing or damaged .*; copy the checkpoint"),
    "half the weights": (cut("model"), "model-\\w*.safetensors is missing or damaged"),
    "empty weights": (empty, "model-\\w*.safetensors is missing or damaged"),
    "weights that never were": (resealed(cut("model")), "model-\\w*.safetensors is missing or damaged"),
    "a flipped bit": (flip_bit("model"), "model-\\w*.safetensors is missing or damaged .*SHA-256.*; copy the"),
    "a flipped bit in the starts": (
        flip_bit("contexts"),
        "contexts-\\w*.safetensors is missing or damaged .*SHA-256",
    ),
    "no parts": (drop_entry("parts"), "config.json is damaged .*parts"),
    "parts without the model": (change(parts={}), "config.json is damaged .*parts lacks 'model'"),
    "parts a list": (change(parts=[]), "config.json is damaged"),
    "a weight lacks": (resealed(drop_weight), "incomplete or damaged"),
    "half the starts": (cut("contexts"), "contexts-\\w*.safetensors is missing or damaged"),
    "other starts": (resealed(foreign_starts), "incomplete or damaged"),
    "starts too small": (starts_of_shape(2, 4, 32, 32, 3), "contexts of shapes"),
    "one action too many": (starts_of_shape(2, 3, 64, 64, 3), "contexts of shapes"),
    "no starts": (starts_of_shape(0, 4, 64, 64, 3), "contexts of shapes"),
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_said_in_one_line_with_what_to_do(folder, damage, words):
    damage(folder)
    with pytest.raises(CheckpointError, match=words) as error:
        Checkpoint.load(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def test_a_flipped_bit_is_else_not_noticed(folder):
    before = Checkpoint.load(folder).model.state_dict()
    flip_bit("model")(folder)
    reseal(folder)
    after = Checkpoint.load(folder).model.state_dict()
    assert sum(not torch.equal(after[name], value) for name, value in before.items()) == 1


def test_the_checksums_are_those_that_sha256sum_prints(folder):
    listed = read_config(folder)["parts"]
    assert listed.keys() == {"model", "contexts"}
    lines = "".join(f"{one['sha256']}  {one['file']}\n" for one in listed.values())
    answer = subprocess.run(["sha256sum", "--check", "-"], input=lines, cwd=folder, capture_output=True, text=True)
    assert answer.stdout.splitlines() == [f"{one['file']}: OK" for one in listed.values()]


@pytest.mark.parametrize("name", ["model", "contexts", "config.json"])
@pytest.mark.parametrize("how", ["pickle", "torch", "numpy"])
def test_a_pickle_in_disguise_is_refused_and_not_executed(folder, tmp_path, name, how):
    mark = tmp_path / "executed"
    path = folder / name if name == "config.json" else part(folder, name)
    if how == "pickle":
        path.write_bytes(pickle.dumps(Bomb(mark)))
    elif how == "torch":
        torch.save({"weight": Bomb(mark)}, path)
    else:
        with path.open("wb") as file:
            np.save(file, np.array([Bomb(mark)], object), allow_pickle=True)
    if name != "config.json":
        reseal(folder)  # or the checksum would refuse it before anything looks inside
    with pytest.raises(CheckpointError):
        Checkpoint.from_pretrained(folder)
    assert not mark.exists()


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


def test_from_pretrained_reads_a_folder(toy_checkpoint):
    one, other = Checkpoint.load(toy_checkpoint), Checkpoint.from_pretrained(toy_checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(step(one), step(other), strict=True))


@pytest.fixture
def offline(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def test_a_model_of_the_hub_that_cannot_be_reached(offline, tmp_path):
    words = r"'someone/airstriker' is neither a folder here nor a model on the hub.*check the spelling and the network"
    with pytest.raises(CheckpointError, match=words):
        Checkpoint.from_pretrained("someone/airstriker", cache_dir=tmp_path)


def test_only_the_files_of_a_checkpoint_are_downloaded(monkeypatch, folder, tmp_path):
    """The hub is the folder; of one commit."""
    (folder / "pytorch_model.bin").write_bytes(b"no")
    (folder / f"model-{'0' * 16}.safetensors").write_bytes(b"an old one")
    place, asked = tmp_path / ("c" * 40), []

    def download(name: str, allow_patterns: list[str], **options: object) -> str:
        asked.append((name, options))
        place.mkdir(exist_ok=True)
        for file in folder.iterdir():
            if any(fnmatch.fnmatchcase(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, place)
        return str(place)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    loaded = Checkpoint.from_pretrained("hub:someone/toy", revision="v2")
    assert loaded.game["name"] == "Toy-Numpy"
    assert {file.name for file in place.iterdir()} == {
        "README.md",
        "config.json",
        part(folder, "model").name,
        part(folder, "contexts").name,
    }
    assert asked == [("someone/toy", {"revision": "v2"}), ("someone/toy", {"revision": "c" * 40})]


@pytest.mark.parametrize(
    "file",
    [
        "../model-{}.safetensors",
        "/etc/passwd",
        "*",
        "model-[0-9a-f]*.safetensors",
        "sub/model-{}.safetensors",
        "..",
        "",
        "contexts-{}.safetensors",
        "model-{}.safetensors\n",
        "model-0000000000000000.safetensors",
    ],
)
def test_a_name_in_config_json_is_no_path(monkeypatch, folder, file):
    """It is refused before a file is opened or asked for."""
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, allow_patterns, **_: asked(allow_patterns))

    def asked(patterns: list[str]) -> str:
        assert sorted(patterns) == ["README.md", "config.json"]
        return str(folder)

    parts = read_config(folder)["parts"]
    parts["model"]["file"] = file.format(parts["model"]["sha256"][:16])
    change_config(folder, parts=parts)
    for place in (folder, "hub:someone/toy"):
        with pytest.raises(CheckpointError, match=r"config.json is damaged"):
            Checkpoint.from_pretrained(place)


def test_the_hubs_cache_of_links_is_read(folder, tmp_path):
    (tmp_path / "snapshot").mkdir()
    for file in folder.iterdir():
        (tmp_path / "snapshot" / file.name).symlink_to(file)
    assert Checkpoint.from_pretrained(tmp_path / "snapshot").game["name"] == "Toy-Numpy"


def test_push_to_hub_uploads_the_folder(monkeypatch):
    calls: list = []

    class Api:
        def __init__(self, token: str | None = None):
            calls.append(("token", token))

        def create_repo(self, name: str, **options: object) -> None:
            calls.append(("create", name, options))

        def upload_folder(self, repo_id: str, folder_path: str, **options: object) -> str:
            calls.append(("upload", repo_id, options, Checkpoint.load(folder_path)))
            return f"https://hub/{repo_id}"

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    checkpoint = untrained()
    address = checkpoint.push_to_hub("me/toy", token="secret", private=True, commit_message="first")
    assert address == "https://hub/me/toy"
    assert calls[0] == ("token", "secret")
    assert calls[1] == ("create", "me/toy", {"exist_ok": True, "private": True})
    before = ["model-*.safetensors", "contexts-*.safetensors", "upscaler-*.safetensors"]
    assert calls[2][:3] == ("upload", "me/toy", {"commit_message": "first", "delete_patterns": before})
    assert all(torch.equal(a, b) for a, b in zip(step(checkpoint), step(calls[2][3]), strict=True))
