"""One model of many games: each of them is the whole model with its own buttons, in every way to use a checkpoint."""

import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

import genie_gym
from genie_gym.envs import WorldModelEnv
from genie_gym.envs.config import WorldModelEnvConfig
from genie_gym.envs.engine import ImaginationEngine
from genie_gym.errors import CheckpointError, ConfigError, GameError, PromptError
from genie_gym.rewards.config import RewardConfig
from genie_gym.rewards.make import make_reward
from genie_gym.utils import paths
from genie_gym.web.worlds import find_worlds
from genie_gym.world_model import Checkpoint, SamplingConfig
from genie_gym.world_model.actions.vocabulary import KnownGame, mixture_of_names, vocabulary_game
from genie_gym.world_model.resolve import load_checkpoint, resolve_checkpoint
from tests.conftest import untrained, untrained_conv, untrained_latent
from tests.many_games import ORDER, PERMUTED, TOY, as_many


@pytest.fixture(params=[untrained, untrained_conv], ids=["transformer", "convolutional"])
def many(request) -> Checkpoint:
    return as_many(request.param())


@pytest.fixture
def folder(tmp_path):
    as_many(untrained()).save(tmp_path / "both")
    return tmp_path / "both"


def steps(checkpoint: Checkpoint, actions: list[int], frames: torch.Tensor, before: torch.Tensor) -> list[torch.Tensor]:
    state, first = checkpoint.model.start(frames, before)
    outcomes = [checkpoint.model.step(state, torch.tensor([action]), SamplingConfig()) for action in actions]
    return [first, *(one.logits for one in outcomes), *(one.rewards for one in outcomes)]


def test_games_whose_buttons_are_permuted_share_the_model(many):
    """The same deeds from the same frames are the same dream, whatever the number of each one's button."""
    frames = many.initial_contexts["frames"][:1]
    deeds, before = [1, 3, 0, 2, 1], torch.tensor([[2, -1, 3]])
    own = np.argsort(ORDER)
    mirrored = torch.where(before < 0, -1, torch.from_numpy(own)[before])
    whole = steps(many, deeds, frames, before)  # the vocabulary has the toy game's order
    toy = steps(many.of_game("Toy-Numpy"), deeds, frames, before)
    mirror = steps(many.of_game("Mirror-Own"), [int(own[deed]) for deed in deeds], frames, mirrored)
    for one, other, third in zip(whole, toy, mirror, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(one, third, atol=1e-3, rtol=1e-3)
    misunderstood = steps(many.of_game("Mirror-Own"), deeds, frames, before)
    assert not torch.allclose(misunderstood[-1], whole[-1])


def test_a_game_has_its_own_initial_contexts_and_actions(many):
    contexts, mirror = many.initial_contexts, many.of_game("mirror")
    assert mirror.game == PERMUTED.to_dict() and not mirror.games
    assert torch.equal(mirror.initial_contexts["frames"], contexts["frames"][3:])
    deeds = np.array(ORDER)[mirror.initial_contexts["actions"].numpy()]
    np.testing.assert_array_equal(deeds, contexts["actions"][3:])
    assert set(mirror.initial_contexts) == {"frames", "actions"}


def test_it_is_kept_on_disk(many, tmp_path):
    many.save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert loaded.games == many.games and loaded.game == many.game
    assert torch.equal(loaded.initial_contexts["games"], many.initial_contexts["games"])
    card = (tmp_path / "README.md").read_text()
    assert "- Mirror-Own: jump, NOOP, left, right" in card
    for game, codes in (("Toy-Numpy", 4), ("Mirror-Own", 4)):
        assert Checkpoint.from_pretrained(tmp_path, game=game).model.dynamics.config.num_actions == codes


def test_a_game_that_it_never_saw(many):
    """Known names are known actions, combinations the mean of their parts, others the mean of all."""
    kangaroo = many.of_game("Kangaroo-Ale")  # FIRE punches, UP jumps
    weight = {name: value.double().numpy() for name, value in many.model.dynamics.state_dict().items()}
    found = {name: value.double().numpy() for name, value in kangaroo.model.dynamics.state_dict().items()}
    names, meanings = ["NOOP", "right", "left", "jump"], [action["meaning"] for action in kangaroo.game["actions"]]
    expected = {"UP": ["jump"], "RIGHT": ["right"], "UPRIGHT": ["right", "jump"], "FIRE": names, "UPFIRE": ["jump"]}
    read = [name for name in many.model.dynamics.action_weights()]
    for name in read:
        for meaning, sources in expected.items():
            steps = many.model.dynamics.config.action_window if name.startswith(("act", "motion")) else 1
            for step in range(steps):
                before, after = weight[name][:, 4 * step :][:, :4], found[name][:, 18 * step :][:, :18]
                mean = before[:, [names.index(one) for one in sources]].mean(1)
                np.testing.assert_allclose(after[:, meanings.index(meaning)], mean, atol=1e-6)
    for name in weight.keys() - set(read):
        np.testing.assert_array_equal(found[name], weight[name])
    assert not len(kangaroo.initial_contexts["frames"])
    with pytest.raises(ConfigError, match="no initial contexts of Kangaroo-Ale"):
        kangaroo.save("nowhere")


def test_nearest_names():
    known = ["NOOP", "right", "jump", "right+shoot"]
    found = mixture_of_names(["right", "right+jump", "right+up+shoot", "fly"], known)
    expected = [[0, 1, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1], [0.25] * 4]
    np.testing.assert_allclose(found, expected)


def test_latent_actions_are_those_of_every_game():
    latent = untrained_latent()
    known = (KnownGame(latent.game, tuple(range(5))),)
    contexts = {**latent.initial_contexts, "games": torch.zeros(6, dtype=torch.int64)}
    many = replace(latent, game=latent.game | {"name": "Both-Own"}, games=known, initial_contexts=contexts)
    for game in ("Toy-Numpy", "Kangaroo-Ale"):
        one = many.of_game(game)
        assert [action["meaning"] for action in one.game["actions"]] == [f"LATENT {i}" for i in range(5)]
        for name, value in many.model.dynamics.state_dict().items():
            assert torch.equal(one.model.dynamics.state_dict()[name], value)


def test_environments_of_each_game_and_of_the_whole(folder):
    whole = gym.make("GenieRedux/Toy-v0", checkpoint=str(folder), disable_env_checker=True)
    assert whole.unwrapped.get_action_meanings() == TOY.meanings
    mirror = WorldModelEnv("Mirror-Own", folder)
    assert mirror.get_action_meanings() == PERMUTED.meanings
    vector = gym.make_vec("GenieRedux/Toy-v0", num_envs=2, checkpoint=str(folder))
    assert vector.reset(seed=0)[0].shape == (2, 64, 64, 3)
    everything = WorldModelEnv(checkpoint=folder)
    assert everything.get_action_meanings() == ["NOOP", "right", "left", "jump"]
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    pictures = []
    for env, actions, action in ((whole, [1, 3], 2), (mirror, [3, 0], 2), (everything, [1, 3], 2)):
        env.reset(seed=5, options={"prompt": frames, "prompt_actions": actions})
        pictures.append(env.step(action)[0])
    assert np.array_equal(pictures[0], pictures[1]) and np.array_equal(pictures[0], pictures[2])


def test_an_unseen_game_dreams_from_a_prompt_only(folder):
    env = WorldModelEnv("Pong-Ale", folder)
    with pytest.raises(PromptError, match="never seen Pong-Ale"):
        env.reset(seed=0)
    env.reset(seed=0, options={"prompt": np.zeros((210, 160, 3), np.uint8)})
    assert env.step(env.action_space.n - 1)[0].shape == (64, 64, 3)


def test_the_model_of_a_game_without_weights_of_its_own(folder):
    """A game's name, or its id, finds the user's model of many games that knows it."""
    Checkpoint.load(folder).save(paths.weights_dir("Both-Own"))
    assert resolve_checkpoint("Toy-Numpy") == str(paths.weights_dir("Both-Own"))
    assert load_checkpoint("toy").game == TOY.to_dict()
    assert Checkpoint.from_pretrained("Toy-Numpy").game == TOY.to_dict()
    assert gym.make("GenieRedux/Toy-v0").unwrapped.get_action_meanings() == TOY.meanings
    genie_gym.register_own_games()
    assert gym.make("GenieRedux/Mirror-Own-v0").unwrapped.get_action_meanings() == PERMUTED.meanings
    assert gym.make("GenieRedux/Both-Own-v0").unwrapped.action_space.n == 4
    with pytest.raises(CheckpointError, match="no weights of Skiing-Ale"):
        load_checkpoint("Skiing-Ale")


def test_the_model_of_one_game_is_in_memory_once(folder):
    one, other = load_checkpoint(folder, game="mirror"), load_checkpoint(folder, game="mirror")
    assert one.model is other.model and one.model is not load_checkpoint(folder, game="toy").model
    assert one.model.tokenizer is load_checkpoint(folder, whole=True).model.tokenizer


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precisions(folder, precision):
    engine = ImaginationEngine(1, WorldModelEnvConfig(game="Mirror-Own", checkpoint=folder, precision=precision))
    engine.reset([0], [np.random.default_rng(0)], [None])
    assert engine.step(0).frames.shape == (1, 64, 64, 3)


def test_what_is_about_one_game_asks_which(folder):
    for act in (genie_gym.evaluate, load_checkpoint):
        with pytest.raises(
            ConfigError, match=r"Both-Own is one model of 2 games; say which .*--game.*Toy-Numpy, Mirror"
        ):
            act(folder)
    with pytest.raises(GameError, match="Nonsense"):
        load_checkpoint(folder, game="Nonsense")


@pytest.mark.parametrize(
    "games",
    [
        [{"game": TOY.to_dict(), "actions": [0, 1, 2]}],
        [{"game": TOY.to_dict(), "actions": [0, 1, 2, 4]}],
        [{"game": TOY.to_dict(), "actions": [0, 1, 2, 2]}],
        [{"game": TOY.to_dict() | {"name": "../../x"}, "actions": [0, 1, 2, 3]}],
        [{"game": TOY.to_dict(), "actions": [0, 1, 2, 3]}] * 2,
        [{"game": TOY.to_dict(), "actions": [0, 1, 2, 3]}],  # there are contexts of a second one
        "games",
    ],
)
def test_damaged_games_are_refused(games, folder):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"games": games}))
    with pytest.raises(CheckpointError, match="incomplete or damaged"):
        Checkpoint.load(folder)


def test_a_vocabulary_has_each_name_once():
    mario = {"name": "SuperMarioBros-Nes", "actions": [{"meaning": "NOOP"}, {"meaning": "RIGHT+PRIMARY"}]}
    game, known = vocabulary_game("Both-Own", [mario, TOY.to_dict()])
    assert [action["meaning"] for action in game["actions"]] == ["NOOP", "right+jump", "right", "left", "jump"]
    assert [one.actions for one in known] == [(0, 1), (0, 2, 3, 4)]


def test_each_game_is_a_world_to_play(folder):
    worlds = find_worlds([str(folder)], "cpu")
    assert list(worlds) == ["Toy-Numpy", "Mirror-Own"]
    assert worlds["Mirror-Own"].game.meanings == PERMUTED.meanings
    engine = worlds["Mirror-Own"].load().engine
    assert engine.game.meanings == PERMUTED.meanings and len(engine.initial_contexts["frames"]) == 3


def test_the_reward_of_a_game(folder):
    """A step of the mirrored game is as uncertain as that of the toy game, its buttons being others."""
    space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    frames = np.random.default_rng(0).integers(0, 256, (1, 5, 64, 64, 3), np.uint8)
    deeds, scores = np.array([[1, 3, 0, 2]]), []
    for game, actions in (("Toy-Numpy", deeds), ("Mirror-Own", np.argsort(ORDER)[deeds])):
        reward = make_reward(space, gym.spaces.Discrete(4), game, folder, config=RewardConfig(context=2, horizon=1))
        scores.append(reward.score(torch.from_numpy(frames[:, :2]), torch.from_numpy(actions[:, :2])).reward)
    torch.testing.assert_close(scores[0], scores[1])
