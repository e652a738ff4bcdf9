"""Hyperparameters of the explorer."""

from dataclasses import dataclass

from genie_gym.utils.validation import at_least, more_than_zero

__all__ = ["LARGEST_AGENT", "ExplorerConfig"]

LARGEST_AGENT = 2**29  # bytes of a file; the paper's explorer has 80 MB


@dataclass(frozen=True)
class ExplorerConfig:
    """Hyperparameters of the explorer, with defaults for about 10^5 steps on a few cores.

    Attributes:
        learning_rate: Learning rate of Adam. The paper's 1e-4 is for many more updates.
        n_steps: Steps of each environment between two updates.
        batch_size: Steps in one minibatch. The LSTM processes a minibatch step by step, so small ones are slow.
        n_epochs: Passes over the steps of an update.
        gamma: Discount factor, as in the paper.
        gae_lambda: Factor of generalized advantage estimation, as in the paper.
        ent_coef: Weight of the policy's entropy. It is ten times the paper's, whose agent sees far more steps.
        lstm_hidden_size: Units of the LSTM, as in the paper.

    Raises:
        ConfigError: A value is out of range.
    """

    learning_rate: float = 1e-3
    n_steps: int = 128
    batch_size: int = 256
    n_epochs: int = 3
    gamma: float = 0.995
    gae_lambda: float = 0.95
    ent_coef: float = 0.01
    lstm_hidden_size: int = 512

    def __post_init__(self) -> None:
        more_than_zero(learning_rate=self.learning_rate)
        at_least(1, n_steps=self.n_steps, batch_size=self.batch_size, n_epochs=self.n_epochs)
        at_least(1, lstm_hidden_size=self.lstm_hidden_size)
