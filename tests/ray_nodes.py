"""A Ray cluster of three node processes on this machine."""

import threading
import time
from contextlib import ExitStack

import pytest

__all__ = ["Nodes", "nodes"]


class Nodes:
    """Three nodes on this machine, each with a data folder of its own."""

    def __init__(self, home):
        from ray.cluster_utils import Cluster

        self.homes = [home / f"node-{number}" for number in range(3)]
        self.cluster = Cluster()
        self.nodes = [self.add(place) for place in self.homes]

    def add(self, place):
        sizes = {"num_cpus": 1, "object_store_memory": 2**27, "include_dashboard": False}
        return self.cluster.add_node(env_vars={"GENIE_GYM_HOME": str(place), "OMP_NUM_THREADS": "1"}, **sizes)

    def kill_once_it_has_episodes(self, number: int) -> threading.Thread:
        def kill() -> None:
            deadline = time.monotonic() + 60
            while not list(self.homes[number].rglob("staged/*.h5")) and time.monotonic() < deadline:
                time.sleep(0.02)
            self.cluster.remove_node(self.nodes[number], allow_graceful=False)

        thread = threading.Thread(target=kill)
        thread.start()
        return thread


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "500")
        nodes = Nodes(tmp_path_factory.mktemp("nodes"))
        stack.callback(nodes.cluster.shutdown)
        yield nodes
