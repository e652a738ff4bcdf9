"""Predicting clips on the nodes of a Ray cluster: one task for each batch."""

from collections.abc import Iterator, Sequence
from typing import Any

from genie_gym.errors import ConfigError, GenieGymError, first_line
from genie_gym.evaluation.rollouts import Batch, PredictBatch
from genie_gym.metrics.image import Frames
from genie_gym.utils.device import use_threads
from genie_gym.utils.parallel.cluster import RayCluster
from genie_gym.world_model import Checkpoint, SamplingConfig

__all__ = ["ClusterBatches"]

RETRIES = 3  # of a batch whose node died


class ClusterBatches(RayCluster):
    """Computes batches on the nodes of a Ray cluster, on one CPU each; see `RayCluster` and `rollouts.RunBatches`.

    Batches are the same however many nodes there are, and come back in their order.

    Raises:
        ConfigError: When it is called: the checkpoint is on a GPU.
        GenieGymError: When it is called: a batch failed, or nodes died over it again and again.
    """

    def __init__(self, address: str):
        super().__init__(address)
        self._sent: dict[int, tuple[Checkpoint, Any]] = {}  # checkpoints that the cluster has, by their ids

    def __call__(
        self, predict: PredictBatch, checkpoint: Checkpoint, batches: Sequence[Batch], sampling: SamplingConfig
    ) -> Iterator[Frames]:
        if checkpoint.model.device.type != "cpu":
            raise ConfigError("on a Ray cluster clips are predicted on CPUs; load the checkpoint on the CPU")
        if id(checkpoint) not in self._sent:
            self._sent[id(checkpoint)] = checkpoint, self.ray.put(checkpoint)
        remote = self.ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")(_predict)
        sent = self._sent[id(checkpoint)][1]
        for answer in [remote.remote(predict, sent, batch, sampling) for batch in batches]:
            try:
                yield self.ray.get(answer)
            except self.ray.exceptions.RayError as error:
                cause = getattr(error, "cause", error)
                raise GenieGymError(f"a batch failed on the Ray cluster: {first_line(cause)}; see its logs") from error


def _predict(predict: PredictBatch, checkpoint: Checkpoint, batch: Batch, sampling: SamplingConfig) -> Frames:
    use_threads(1)
    return predict(checkpoint, batch, sampling)
