"""A Ray cluster collects the same episodes as the processes of this machine, whatever happens to its nodes."""

from collections import Counter

import pytest

from genie_gym.collection.collect import collect, collect_games
from genie_gym.data import EpisodeDataset
from genie_gym.data.shard import Shard
from genie_gym.errors import ConfigError
from genie_gym.games.ale import ale_titles
from tests.collection.test_collect import content

pytest.importorskip("ray", reason="needs Ray: pip install genie_gym[ray]")


def copies(folder) -> Counter:
    """How often each episode is in a dataset's files."""
    found = Counter()
    for path in folder.glob("*.h5"):
        with Shard(path) as shard:
            found.update(shard.names())
    return found


@pytest.mark.slow
def test_a_cluster_collects_20_games_as_one_machine_does_though_a_node_is_killed(nodes, tmp_path):
    pytest.importorskip("ale_py", reason="needs ale-py: pip install genie_gym[atari]")
    names = ["Toy-Numpy", *(f"{title}-Ale" for title in ale_titles()[:19])]
    options = {"episodes": 2, "max_steps": 15, "policy": "sticky", "progress": False}
    local = collect_games(names, out=tmp_path / "local", workers=1, **options)
    killer = nodes.kill_once_it_has_episodes(2)
    reports = collect_games(names, ray=nodes.cluster.address, workers=3, **options)
    killer.join()
    assert [report.game for report in reports] == names
    for report, one in zip(reports, local, strict=True):
        assert report.total_episodes == 2 and report.total_steps == one.total_steps
        assert set(copies(report.folder).values()) == {1}
        assert content(report.folder) == content(one.folder)
    alive = nodes.homes[:2]
    assert not [path for home in alive for path in home.rglob("*.h5")]  # nothing is left behind on the nodes
    assert list(nodes.homes[2].rglob("staged/*.h5"))  # and the dead one had played some of it


@pytest.mark.slow
def test_what_an_interrupted_call_left_on_the_nodes_is_used(nodes, tmp_path):
    address, out = nodes.cluster.address, tmp_path / "data"
    collect("Toy-Numpy", steps=200, out=out, ray=address, workers=1, max_steps=40, progress=False)
    whole = content(out)
    (out / "staged").mkdir(exist_ok=True)
    for path in out.glob("*.h5"):
        path.rename(out / "staged" / path.name)
    report = collect("Toy-Numpy", steps=200, out=out, ray=address, workers=1, max_steps=40, progress=False)
    assert report.total_steps >= 200 and content(out) == whole
    collect("Toy-Numpy", steps=200, out=tmp_path / "local", workers=2, max_steps=40, progress=False)
    assert content(tmp_path / "local") == whole
    assert len(EpisodeDataset(out).header["runs"]) == 1


def test_an_address_without_a_cluster(tmp_path):
    with pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1'.*ray start --head"):
        collect("Toy-Numpy", episodes=1, out=tmp_path, ray="127.0.0.1:1", progress=False)
