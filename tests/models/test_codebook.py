"""The codebook: nearest codes, revival, starts, and what training and evaluation change."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genie_gym.models.codebook import Codebook


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def snapshot(book: Codebook) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in book.state_dict().items()}


@pytest.fixture
def book() -> Codebook:
    torch.manual_seed(0)
    book = Codebook(32, 6)
    book.started.fill_(True)
    return book


@pytest.fixture
def encodings() -> torch.Tensor:
    return 3 * torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("low", [False, True], ids=["float32", "within autocast"])
def test_token_is_the_code_of_smallest_angle(book, encodings, low):
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        codes, tokens, commitment = book.eval()(encodings)
    x, c = unit(encodings.numpy().astype(float)), book.codes.numpy().astype(float)
    distances = np.square(x[..., None, :] - c).sum(-1)  # on the unit sphere the nearest has the smallest angle
    np.testing.assert_array_equal(tokens.numpy(), distances.argmin(-1))
    np.testing.assert_allclose(codes.numpy(), c[distances.argmin(-1)], atol=1e-6)
    assert commitment.item() == pytest.approx(distances.min(-1).mean() / 6, rel=1e-5)


def test_length_of_an_encoding_does_not_matter(book, encodings):
    assert torch.equal(book.eval()(encodings)[1], book(encodings * 100)[1])


def test_evaluation_changes_nothing(book, encodings):
    before = snapshot(book.eval())
    book(encodings)
    assert all(torch.equal(before[name], value) for name, value in book.state_dict().items())


def test_gradient_passes_straight_through(book, encodings):
    x = encodings.requires_grad_()
    weights = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(2))
    codes, _, _ = book(x)
    (through,) = torch.autograd.grad((codes * weights).sum(), x)
    (plain,) = torch.autograd.grad((F.normalize(x, dim=-1) * weights).sum(), x)
    torch.testing.assert_close(through, plain)


def test_commitment_pulls_the_encoding_to_its_code(book):
    x = torch.randn(1, 6, generator=torch.Generator().manual_seed(3)).requires_grad_()
    code, _, commitment = book.eval()(x)
    (gradient,) = torch.autograd.grad(commitment, x)
    assert F.cosine_similarity(x - gradient, code) > F.cosine_similarity(x, code)


def test_starts_at_encodings_of_the_first_batch(encodings):
    book = Codebook(16, 6)
    book.eval()(encodings)
    assert not book.started
    book.train()
    book._start(F.normalize(encodings, dim=-1))
    assert book.started
    similarity = unit(book.codes.numpy()) @ unit(encodings.numpy().reshape(-1, 6)).T
    np.testing.assert_allclose(similarity.max(1), 1, atol=1e-6)


def test_training_starts_only_once(encodings):
    book = Codebook(16, 6, decay=1.0, min_usage=0.0)  # only a start could change the codes
    book(encodings)
    assert book.started
    before = book.codes.clone()
    book(-encodings)
    torch.testing.assert_close(book.codes, before)


def test_codes_move_towards_the_mean_of_their_encodings_and_stay_unit(book, encodings):
    book.min_usage = 0.0
    before = book.codes.numpy().astype(float)
    _, tokens, _ = book(encodings)
    x = unit(encodings.numpy().reshape(-1, 6).astype(float))
    for k in range(32):
        mine = x[tokens.numpy().ravel() == k]
        expected = unit(0.99 * before[k] + 0.01 * unit(mine.mean(0))) if len(mine) else before[k]
        np.testing.assert_allclose(book.codes[k].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(book.codes.numpy(), axis=1), 1, atol=1e-6)


def test_revives_at_most_a_few_codes_a_step(book, encodings):
    book.max_revived, book.min_usage = 3, 0.009  # a code chosen once a step has a usage of 0.01 after its first step
    book.usage.zero_()
    x = unit(encodings.numpy().reshape(-1, 6))
    for step in range(1, 4):
        idle_before = int((book.usage == 0).sum())
        before = book.codes.clone()
        tokens = book(encodings)[1]
        jumped = ((book.codes - before).norm(dim=-1) > 0.05).numpy()  # an average moves by about 0.01
        assert jumped.sum() == 3, step
        assert not jumped[tokens.unique().numpy()].any()
        np.testing.assert_allclose((book.codes.numpy()[jumped] @ x.T).max(1), 1, atol=1e-6)
        assert int((book.usage == 0).sum()) <= idle_before - 3


def test_used_codes_are_never_revived(book, encodings):
    book.max_revived = 1000
    for _ in range(3):
        book(encodings)
    assert (book.usage > book.min_usage).all()


def test_training_brings_most_codes_into_use():
    torch.manual_seed(0)
    book = Codebook(64, 6)
    batches = torch.randn(60, 256, 6)
    book.codes.copy_(book.codes[:1].expand(64, 6))  # all the same: only one is chosen at first
    book.started.fill_(True)
    book.usage.fill_(0.06)
    for batch in batches:
        book(batch)
    assert len(book.eval()(batches[0])[1].unique()) > 50
