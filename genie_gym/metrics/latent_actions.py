"""Agreement between latent actions and true actions."""

import numpy as np

__all__ = ["count_pairs", "mutual_information", "one_to_one_accuracy", "perplexity"]

MAX_ACTIONS = 16  # for the exact one-to-one accuracy, whose time doubles with each action


def count_pairs(codes: np.ndarray, actions: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the contingency table of two labellings: how often each code occurs with each action.

    Args:
        codes: int64, not negative.
        actions: int64 of the same shape, not negative.
        size: Number of codes and of actions; by default those up to the largest label.

    Returns:
        int64 (codes, actions).
    """
    counts = np.zeros(size or (codes.max() + 1, actions.max() + 1), np.int64)
    np.add.at(counts, (codes.ravel(), actions.ravel()), 1)
    return counts


def mutual_information(counts: np.ndarray) -> float:
    """Return the normalised mutual information of two labellings: 0 if independent, 1 if they determine each other.

    It is normalised by the arithmetic mean of both entropies. torchmetrics computes the same in float32 only.

    Args:
        counts: Contingency table int64 (codes, actions), see `count_pairs`.

    Returns:
        The score; NaN if both labellings are constant.
    """
    joint = counts / counts.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    mean = (_entropy(rows) + _entropy(columns)) / 2
    return float((2 * mean - _entropy(joint)) / mean) if mean else float("nan")


def perplexity(counts: np.ndarray) -> float:
    """Return the effective number of codes, given how often each was used: counts of any shape."""
    return float(np.exp(_entropy(counts / counts.sum())))


def one_to_one_accuracy(counts: np.ndarray) -> float:
    """Return the share of pairs that agree under the best one-to-one map of codes to actions.

    Args:
        counts: Contingency table int64 (codes, actions), see `count_pairs`.

    Returns:
        The exact maximum over all maps; NaN if there are more than 16 codes and more than 16 actions.
    """
    longer = counts if counts.shape[0] >= counts.shape[1] else counts.T
    if longer.shape[1] > MAX_ACTIONS:
        return float("nan")
    assigned = np.arange(2 ** longer.shape[1])  # sets of columns, one bit each
    best = np.where(assigned == 0, 0, -1)  # most pairs that agree with those columns assigned; -1 if not yet possible
    for row in longer:
        before = best.copy()
        for column, count in enumerate(row.tolist()):
            free = assigned[(assigned >> column & 1 == 0) & (before >= 0)]
            taken = free | 1 << column
            best[taken] = np.maximum(best[taken], before[free] + count)
    return float(best.max() / counts.sum())


def _entropy(probabilities: np.ndarray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())
