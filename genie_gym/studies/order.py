"""In which order a participant sees the pairs of clips, and which clip on which side: drawn from the study's seed."""

import numpy as np

__all__ = ["Trial", "trials"]

Trial = tuple[int, bool]  # number of a pair, and whether its first clip is on the right


def trials(seed: int, rater: str, samples: int) -> list[Trial]:
    """Return a participant's pairs in their order; the same participant gets the same again.

    Args:
        seed: Seed of the study.
        rater: Name of the participant.
        samples: Number of pairs.

    >>> sorted(number for number, _ in trials(0, "anna", 3))
    [0, 1, 2]
    """
    rng = np.random.default_rng([seed, *rater.encode()])
    order = rng.permutation(samples)
    swapped = rng.permutation(samples) % 2 == 1  # half of them, whatever is drawn
    return list(zip(order.tolist(), swapped.tolist(), strict=True))
