"""Clips predicted on the nodes of a Ray cluster are those predicted here."""

import dataclasses

import pytest

from genie_gym.errors import ConfigError
from genie_gym.evaluation.evaluate import evaluate
from genie_gym.utils.jsonable import to_jsonable
from tests.toy_play import record

pytest.importorskip("ray", reason="needs Ray: pip install genie_gym[ray]")

OPTIONS = {"clips": 70, "horizon": 4, "long_steps": 0, "threads": 1}


@pytest.fixture(scope="module")
def toy_data(tmp_path_factory):
    return record(tmp_path_factory.mktemp("data") / "toy", episodes=12, steps=40)


@pytest.mark.slow
def test_the_figures_are_the_same(nodes, toy_checkpoint, toy_data):
    local = evaluate(toy_checkpoint, data=toy_data, **OPTIONS)
    remote = evaluate(toy_checkpoint, data=toy_data, ray=nodes.cluster.address, **OPTIONS)
    for field in dataclasses.fields(local):
        if field.name != "speed":
            one, other = (to_jsonable(getattr(report, field.name)) for report in (local, remote))
            assert one == other, field.name


def test_an_address_without_a_cluster(toy_checkpoint, toy_data):
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        evaluate(toy_checkpoint, data=toy_data, ray="127.0.0.1:1", **OPTIONS)
