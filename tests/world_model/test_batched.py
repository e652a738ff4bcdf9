"""Tokens of many clips are those of each alone."""

import numpy as np
import torch

from genie_gym.world_model.batched import BATCH_SIZE, decode_clips, encode_clips
from tests.conftest import untrained


@torch.inference_mode()
def test_pictures_to_tokens_and_back():
    model = untrained().model
    frames = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE + 2, 3, 64, 64, 3), np.uint8)
    tokens = encode_clips(model, frames)
    decoded = decode_clips(model, tokens)
    assert tokens.shape == (BATCH_SIZE + 2, 3, 16) and decoded.shape == frames.shape and decoded.dtype == np.uint8
    for clip in (0, BATCH_SIZE - 1, BATCH_SIZE, BATCH_SIZE + 1):
        pictures = torch.from_numpy(frames[clip : clip + 1]).permute(0, 1, 4, 2, 3).float() / 255
        alone = model.tokenizer.encode(pictures)
        assert (alone[0].numpy() == tokens[clip]).mean() > 0.95  # a tie may fall otherwise in another batch
        seen = model.tokenizer.decode(torch.from_numpy(tokens[clip : clip + 1]))[0].permute(0, 2, 3, 1)
        expected = np.clip(np.round(seen.numpy() * 255), 0, 255).astype(int)
        assert np.abs(decoded[clip] - expected).max() <= 1
