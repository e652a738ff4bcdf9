"""Training of one model of many games, and adapting it to one of them or to a new one."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from scipy.stats import chisquare

import genie_gym
from genie_gym import data
from genie_gym.collection.collect import collect_games
from genie_gym.data import EpisodeDataset
from genie_gym.errors import ConfigError, DataError
from genie_gym.training.adaptation import choose_weights, for_game, merge_low_rank, with_recorded_actions
from genie_gym.training.add_upscaler import add_upscaler
from genie_gym.training.finetune import finetune
from genie_gym.training.recordings import Recordings
from genie_gym.training.stages import draw_windows
from genie_gym.training.world_model import train
from genie_gym.utils import paths
from genie_gym.world_model import Checkpoint
from tests.conftest import excited, untrained, untrained_conv, untrained_latent
from tests.ctrl_c import ctrl_c
from tests.many_games import ORDER, PERMUTED, TOY, as_many, record_two
from tests.training.test_world_model import OVERRIDES

GAMES = ("Toy-Numpy", "Mirror-Own")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    return record_two(tmp_path_factory.mktemp("two"), seeds=(range(12), range(20, 24)))


@pytest.fixture(scope="module")
def recordings(recorded) -> Recordings:
    return Recordings.of("Both-Own", [EpisodeDataset(recorded / game) for game in GAMES], many=True)


@pytest.fixture(scope="module")
def fitted(recorded, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    options = {"games": GAMES, "data": recorded, "out": folder / "out", "run": folder / "run"}
    report = train("Both", **options, preset_overrides=OVERRIDES)
    assert report.finished and report.game == "Both-Own"
    return folder


def test_recordings_have_the_deeds_of_both_games(recordings, recorded):
    """Permuted buttons are the same actions: a recording of each, action by action, in the toy game's order."""
    assert [action["meaning"] for action in recordings.game["actions"]] == ["NOOP", "right", "left", "jump"]
    toy, mirror = recordings.datasets
    plain = EpisodeDataset(recorded / "Mirror-Own")
    for index in range(len(plain)):
        np.testing.assert_array_equal(mirror.steps(index)[0], np.array(ORDER)[plain.steps(index)[0]])
    np.testing.assert_array_equal(toy.steps(0)[0], EpisodeDataset(recorded / "Toy-Numpy").steps(0)[0])
    with pytest.raises(DataError, match="same actions"):
        data.MixtureDataset([data.SequenceDataset(EpisodeDataset(recorded / game), 4) for game in GAMES])


@pytest.mark.parametrize("choices", [1, 4])
def test_clips_are_drawn_evenly_by_game(recordings, choices):
    """Although one game has three times as many episodes; and if the most moving of several clips is kept."""
    train_clips, rng = recordings.windows(6, 0, in_memory=True), np.random.default_rng(0)
    toy, mirror = ({frame.tobytes() for one in both.episodes() for frame in one.frames} for both in recordings.datasets)
    clips = [draw_windows(train_clips, (6,), rng, 4, choices)[0]["frames"] for _ in range(150)]
    drawn = [frame.tobytes() for frame in np.concatenate(clips)[:, -1]]
    counts = [sum(frame in only for frame in drawn) for only in (toy - mirror, mirror - toy)]
    assert sum(counts) > 400 and chisquare(counts).pvalue > 0.001


def test_the_checkpoint_dreams_each_of_its_games(fitted):
    checkpoint = Checkpoint.load(fitted / "out")
    assert [one.name for one in checkpoint.games] == list(GAMES)
    assert checkpoint.model.dynamics.config.num_actions == 4
    assert torch.equal(checkpoint.initial_contexts["games"], torch.arange(2).repeat_interleave(32))
    for title, meanings in (("Toy", TOY.meanings), ("Mirror-Own", PERMUTED.meanings)):
        env = genie_gym.WorldModelEnv(title, fitted / "out")
        assert env.reset(seed=0)[0].shape == (64, 64, 3) and env.get_action_meanings() == meanings
        assert env.step(3)[0].shape == (64, 64, 3)
    env = gym.make("GenieRedux/Toy-v0", checkpoint=str(fitted / "out"))
    env.reset(seed=0, options={"prompt": np.zeros((64, 64, 3), np.uint8)})
    assert env.step(0)[0].shape == (64, 64, 3)


def test_each_game_is_validated(fitted):
    metadata = Checkpoint.load(fitted / "out").metadata
    found = metadata.metrics
    for metric in ("tokenizer psnr", "dynamics psnr", "dynamics repeat_psnr"):
        values = [found[f"{metric} {game}"] for game in GAMES]
        assert min(values) - 1e-3 <= found[metric] <= max(values) + 1e-3
    # The PSNR of all is that of the mean error, of as many windows of each game.
    assert metadata.data[0].episodes == 16
    assert "dynamics psnr Mirror-Own" in (fitted / "out" / "README.md").read_text()


def test_a_game_is_evaluated_by_its_own_recording(fitted, recorded):
    report = genie_gym.evaluate(
        fitted / "out", game="Mirror-Own", data=recorded / "Mirror-Own", clips=2, horizon=4, long_steps=0
    )
    assert report.game == "Mirror-Own"


def test_it_is_resumed_as_if_never_interrupted(recorded, fitted, tmp_path):
    options = {"games": GAMES, "data": recorded, "out": tmp_path / "out", "run": tmp_path / "run"}
    with ctrl_c("dynamics", 3):
        assert not train("Both", **options, preset_overrides=OVERRIDES).finished
    assert train("Both", **options, preset_overrides=OVERRIDES).finished
    whole, pieces = (Checkpoint.load(place / "out").model.state_dict() for place in (fitted, tmp_path))
    for name, value in whole.items():
        assert torch.equal(value, pieces[name]), name
    with pytest.raises(ConfigError, match="games"):
        train("Both", **options | {"games": GAMES[:1]}, preset_overrides=OVERRIDES)


def test_latent_actions_of_many_games(recorded, tmp_path):
    options = {"games": GAMES, "data": recorded, "out": tmp_path / "out", "run": tmp_path / "run"}
    assert train("Both", **options, latent_actions=3, preset_overrides=OVERRIDES).finished
    checkpoint = Checkpoint.load(tmp_path / "out")
    assert checkpoint.model.dynamics.config.num_actions == 3
    assert [one.actions for one in checkpoint.games] == [(0, 1, 2)] * 2
    assert genie_gym.WorldModelEnv("Mirror-Own", tmp_path / "out").action_space.n == 3


def test_games_are_named_by_a_file_and_those_without_data_are_said(recorded, tmp_path):
    (tmp_path / "games.txt").write_text("Toy\nMirror-Own\n")
    options = {"data": recorded, "out": tmp_path / "out", "run": tmp_path / "run", "preset_overrides": OVERRIDES}
    assert train("Both", games=(str(tmp_path / "games.txt"),), **options).finished
    with pytest.raises(DataError, match="Pong-Ale"):
        train("Other", games=("Toy,Pong-Ale",), data=recorded, preset_overrides=OVERRIDES)
    with pytest.raises(ConfigError, match="Toy-Numpy is a game"):
        train("Toy-Numpy", games=GAMES, data=recorded, preset_overrides=OVERRIDES)
    with pytest.raises(DataError, match="Nonsense"):
        train("Other", games=("Nonsense",), data=recorded, preset_overrides=OVERRIDES)


@pytest.mark.parametrize("make", [untrained, untrained_conv], ids=["transformer", "convolutional"])
@pytest.mark.parametrize("which", ["all", "actions", "lora"])
def test_weights_that_change(make, which):
    """Each choice has gradients where it should, starts as the model itself, and is plain weights afterwards."""
    dynamics = excited(make().model.dynamics, 0.1).train()
    before = {name: value.clone() for name, value in dynamics.state_dict().items()}
    tokens, actions = torch.randint(16, (2, 4, 16)), torch.randint(4, (2, 4))
    expected = dynamics.eval().next_logits(tokens, actions)
    choose_weights(dynamics, which, rank=2, seed=0)
    torch.testing.assert_close(dynamics.next_logits(tokens, actions), expected)
    trained = [parameter for parameter in dynamics.parameters() if parameter.requires_grad]
    dynamics.next_logits(tokens, actions).square().mean().backward()
    with torch.no_grad():
        for parameter in trained:
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad.sign()
    changed = dynamics.next_logits(tokens, actions)
    merge_low_rank(dynamics)
    torch.testing.assert_close(dynamics.next_logits(tokens, actions), changed, atol=1e-4, rtol=1e-4)
    after = dynamics.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved >= set(dynamics.action_weights())
    if which == "actions":
        assert moved == set(dynamics.action_weights())
    if which == "lora":
        for name in moved - set(dynamics.action_weights()):
            assert np.linalg.matrix_rank((after[name] - before[name]).double().numpy(), tol=1e-4) <= 2
    assert len(trained) < len(list(dynamics.parameters())) or which == "all"


@pytest.mark.parametrize("which", ["all", "actions", "lora"])
def test_finetuning_a_model_of_many_games_to_one_of_them(which, recorded, tmp_path):
    as_many(untrained()).save(tmp_path / "both")
    steps = {"decoder_steps": 1, "dynamics_steps": 2, "weights": which, "rank": 2}
    folders = {"run": tmp_path / "run", "data": (recorded / "Mirror-Own",), "out": tmp_path / "out"}
    report = finetune(tmp_path / "both", **steps, **folders)
    after, before = Checkpoint.load(report.checkpoint), Checkpoint.load(tmp_path / "both").of_game("mirror")
    assert after.game == PERMUTED.to_dict() and not after.games
    assert len(after.initial_contexts["frames"]) == 3 + 32  # those that it had, and new ones
    weights, trained = (one.model.dynamics.state_dict() for one in (before, after))
    moved = {name for name in weights if not torch.equal(weights[name], trained[name])}
    read = set(after.model.dynamics.action_weights())
    assert moved == read if which == "actions" else moved > read
    assert after.metadata.finetuning[-1].weights == which


def test_finetuning_to_a_new_game_begins_at_the_names(recorded, tmp_path):
    """Known deeds are kept, whatever their buttons; a new one is between its parts."""
    checkpoint = as_many(untrained())
    game = PERMUTED.to_dict() | {"name": "Third-Own"}
    game["actions"] = [{"meaning": name, "buttons": [], "keys": []} for name in ("JUMP", "RIGHT+JUMP", "NOOP")]
    adapted = for_game(checkpoint, game)
    for name in adapted.model.dynamics.action_weights():
        before, after = (one.model.dynamics.state_dict()[name] for one in (checkpoint, adapted))
        assert torch.equal(after[:, [0, 2]], before[:, [3, 0]])
        torch.testing.assert_close(after[:, 1], (before[:, 1] + before[:, 3]) / 2)


def test_which_games_play_is_meant(recorded, tmp_path):
    as_many(untrained()).save(tmp_path / "both")
    steps = {"decoder_steps": 1, "dynamics_steps": 1, "run": tmp_path / "run"}
    with pytest.raises(ConfigError, match="--game"):
        finetune(tmp_path / "both", **steps)
    record_two(paths.home() / "data", seeds=(range(3), range(3)))
    report = finetune(tmp_path / "both", game="Mirror-Own", **steps)
    assert Checkpoint.load(report.checkpoint).game["name"] == "Mirror-Own"


def test_real_actions_begin_at_their_mean_latent_action(recorded, tmp_path):
    """AdaWorld's way, counted again here: how often each latent action is inferred where a button was pressed."""
    latent = untrained_latent()
    dataset = EpisodeDataset(recorded / "Toy-Numpy")
    real = with_recorded_actions(latent, [dataset])
    training = data.split(dataset)[0]
    counts = np.zeros((4, 5))
    for index in training:
        episode = dataset[int(index)]
        frames = torch.from_numpy(episode.frames).permute(0, 3, 1, 2)[None] / 255
        for action, code in zip(episode.actions, latent.model.latent_actions.codes(frames)[0], strict=True):
            counts[action, code] += 1
    shares = counts / counts.sum(1, keepdims=True)
    assert (shares.max(1) < 1).any()
    for name in latent.model.dynamics.action_weights():
        before, after = (one.model.dynamics.state_dict()[name].double().numpy() for one in (latent, real))
        np.testing.assert_allclose(after, before @ shares.T, atol=1e-5)
    assert real.model.latent_actions is None and real.game == TOY.to_dict()
    latent.save(tmp_path / "latent")
    options = {"decoder_steps": 1, "dynamics_steps": 1, "data": (dataset.folder,), "run": tmp_path / "run"}
    after = Checkpoint.load(finetune(tmp_path / "latent", real_actions=True, **options).checkpoint)
    assert [action["meaning"] for action in after.game["actions"]] == TOY.meanings
    assert after.model.latent_actions is None and len(after.initial_contexts["frames"]) == 64


def test_other_upscalers_and_maps_are_not_written_into_a_model_of_many_games(recorded, tmp_path):
    latent = as_many(untrained())
    latent.save(tmp_path / "both")
    with pytest.raises(ConfigError, match="--out"):
        add_upscaler(tmp_path / "both", game="Toy-Numpy", data=recorded / "Toy-Numpy")


@pytest.mark.retro
def test_real_games(tmp_path):
    """Breakout and Kangaroo of ale-py: other buttons, one vocabulary; and Pong, which the model has never seen."""
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[ale]")
    games = ("Breakout-Ale", "Kangaroo-Ale")
    collect_games(games, out=tmp_path / "data", episodes=3, max_steps=30, workers=1, progress=False)
    options = {"data": tmp_path / "data", "out": tmp_path / "out", "run": tmp_path / "run"}
    assert train("Atari", games=games, **options, preset_overrides=OVERRIDES).finished
    checkpoint = Checkpoint.load(tmp_path / "out")
    names = [action["meaning"] for action in checkpoint.game["actions"]]
    assert names[:4] == ["NOOP", "shoot", "right", "left"] and {"jump", "right+jump", "punch"} < set(names)
    for game in games:
        env = genie_gym.WorldModelEnv(game, tmp_path / "out")
        dataset = EpisodeDataset(tmp_path / "data" / game)
        assert env.get_action_meanings() == dataset.header["actions"]
        first = dataset[0]
        frame, _ = env.reset(seed=0, options={"prompt": first.frames[:3], "prompt_actions": first.actions[:2]})
        assert frame.shape == env.step(env.action_space.n - 1)[0].shape == (64, 64, 3)
        contexts = checkpoint.of_game(game).initial_contexts
        real = {one.tobytes() for episode in dataset.episodes() for one in episode.frames}
        assert all(frame.tobytes() in real for frame in contexts["frames"].numpy().reshape(-1, 64, 64, 3))
    env = genie_gym.WorldModelEnv("Pong-Ale", tmp_path / "out")
    env.reset(options={"prompt": np.zeros((210, 160, 3), np.uint8)})
    assert env.step(5)[0].shape == (64, 64, 3)
