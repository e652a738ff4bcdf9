"""What visitors see over the network is what the environment gives, and nothing they send harms anybody else."""

import http.client
import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra web: pip install genie_gym[web]")

from websockets.exceptions import ConnectionClosed, InvalidStatus

from genie_gym.data import EpisodeDataset
from genie_gym.envs import WorldModelEnv
from genie_gym.utils.images import letterbox
from tests.conftest import untrained_upscaler
from tests.web.visits import WAIT, decode, endless, serving


def request(server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def played(checkpoint: str, seed: int, actions: list[int], **options) -> list[np.ndarray]:
    """Frames of the environment itself."""
    env = WorldModelEnv(checkpoint=checkpoint, device="cpu", **options)
    return [env.reset(seed=seed)[0], *(env.step(action)[0] for action in actions)]


def same(frame: np.ndarray, other: np.ndarray) -> bool:
    """Whether two frames are alike up to the rounding of another batch size."""
    return frame.shape == other.shape and np.abs(frame.astype(int) - other.astype(int)).max() <= 1


def test_frames_are_those_of_the_environment(served, world):
    with served.visitor() as visitor:
        frames = [visitor.start(seed=5)]
        visitor.say("hold", action=1)
        frames += visitor.frames(4)
        visitor.say("hold", action=3)
        frames += visitor.frames(9)
    actions = [frame.header["action"] for frame in frames[1:]]
    assert {1, 3} <= set(actions)
    expected = played(world, 5, actions)
    assert all(same(frame.dream, one) for frame, one in zip(frames, expected, strict=True))
    assert [frame.header["step"] for frame in frames] == list(range(len(frames)))


def test_visitors_share_passes_and_stay_apart(served, world):
    with served.visitor() as one, served.visitor() as other:
        firsts = one.start(seed=1), other.start(seed=2)
        other.say("hold", action=2)
        frames = one.frames(12), other.frames(12)
        assert any(frame.header["together"] == 2 for frame in frames[1])
        for seed, first, seen in zip((1, 2), firsts, frames, strict=True):
            seen = [first, *seen]
            expected = played(world, seed, [frame.header["action"] for frame in seen[1:]])
            assert all(same(frame.dream, one) for frame, one in zip(seen, expected, strict=True))


def test_a_world_of_convolutions_that_ships_is_played_and_begun_again():
    with serving("Breakout-Ale") as server, server.visitor() as visitor:
        seen = [visitor.start("Breakout-Ale", seed=5)]
        visitor.say("hold", action=2)
        seen += visitor.frames(8)
        expected = played("Breakout-Ale", 5, [frame.header["action"] for frame in seen[1:]])
        assert all(same(frame.dream, one) for frame, one in zip(seen, expected, strict=True))
        assert len({frame.dream.tobytes() for frame in seen}) > 2
        again = visitor.start("Breakout-Ale", seed=5)
        assert (again.dream == seen[0].dream).all() and visitor.frames(2)


def test_the_upscaler_draws_if_wanted(tmp_path):
    replace(endless(), upscaler=untrained_upscaler()).save(tmp_path)
    with serving(str(tmp_path)) as server, server.visitor() as visitor:
        assert visitor.start(seed=3).dream.shape == (256, 256, 3)
        visitor.say("pause", on=True)
        frames = visitor.frames(1)
        expected = played(str(tmp_path), 3, [frame.header["action"] for frame in frames], upscale=True)
        assert same(frames[-1].dream, expected[-1])
        visitor.say("choose", upscale=False)
        visitor.say("step")
        visitor.say("step")
        assert visitor.frames(frames[-1].header["step"] + 2)[-1].dream.shape == (64, 64, 3)


def test_pause_single_step_and_rewind_are_exact(served):
    with served.visitor() as visitor:
        seen = [visitor.start(seed=7)]
        visitor.say("hold", action=1)
        seen += visitor.frames(21)
        back = visitor.rewind(11, seen)
        step = back.header["step"]
        assert back.header["paused"] and step == len(seen) - 12 and (back.dream == seen[step].dream).all()
        for later in range(step + 1, step + 6):
            visitor.say("hold", action=seen[later].header["action"])
            visitor.say("step")
            again = visitor.frame()
            assert again.header["step"] == later and again.header["paused"]
            assert (again.dream == seen[later].dream).all() and again.header["reward"] == seen[later].header["reward"]


def test_a_rewind_reaches_no_further_than_the_past_that_is_kept(served):
    with served.visitor() as visitor:
        visitor.start(seed=1)
        frame = visitor.rewind(10**9, visitor.frames(3))
        assert frame.header["step"] == frame.header["oldest"] == 0


def test_uncertainty_is_shown_when_asked_for(served):
    with served.visitor() as visitor:
        visitor.start()
        assert visitor.frames(2)[-1].heat == b""
        visitor.say("choose", heat=True)
        heat = visitor.frames(6)[-1].heat
        assert len(heat) == 16 and len(set(heat)) > 1  # 4 x 4 tokens


def test_a_link_plays_the_same_again(served):
    with served.visitor() as visitor:
        seen = [visitor.start(seed=11)]
        visitor.say("hold", action=2)
        seen += visitor.frames(5)
        visitor.say("choose", temperature=0.25)
        seen += visitor.frames(10)
        visitor.say("pause", on=True)
        visitor.say("share")
        link = visitor.hear("shared")
        assert link["seed"] == 11
    with served.visitor() as visitor:
        again = [visitor.start(seed=11, play=link["play"], temperature=1.0)]
        again += visitor.frames(10)
        assert all(frame.header["replaying"] for frame in again[:8])
        for one, two in zip(seen[:11], again[:11], strict=True):
            assert one.header["action"] == two.header["action"] and (one.dream == two.dream).all()
        frame = again[-1]
        while frame.header["replaying"]:
            frame = visitor.frame()
        assert frame.header["paused"]


def test_a_dream_begins_from_a_picture(served, world):
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    message = np.concatenate([picture, np.full((90, 120, 1), 255, np.uint8)], -1)
    with served.visitor() as visitor:
        visitor.socket.send(b"\0\x78\0\x5a" + message.tobytes())
        frame = visitor.start(seed=4, picture=True)
        env = WorldModelEnv(checkpoint=world, device="cpu")
        first, _ = env.reset(seed=4, options={"prompt": letterbox(picture)})
        assert same(frame.dream, first)


def test_the_real_game_runs_beside_the_dream(served):
    from genie_gym import games

    with served.visitor() as visitor:
        first = visitor.start(seed=3, real=True)
        visitor.say("hold", action=1)
        frames = [first, *visitor.frames(6)]
        env = games.make("Toy-Numpy")
        env.reset(seed=3)
        for _ in range(3):  # the dream begins from four frames
            expected = [env.step(0)[0]]
        expected += [env.step(frame.header["action"])[0] for frame in frames[1:]]
        assert all((frame.real == one).all() for frame, one in zip(frames, expected, strict=True))
        step = visitor.rewind(3, frames).header["step"]
        visitor.say("hold", action=frames[step + 1].header["action"])
        visitor.say("step")
        assert (visitor.frame().real == frames[step + 1].real).all()


def test_what_is_played_is_recorded_for_finetuning(world, tmp_path):
    with serving(world, recordings=tmp_path) as server, server.visitor() as visitor:
        for real in (False, True):
            visitor.start(seed=8, real=real)
            visitor.say("record", on=True)
            visitor.say("hold", action=1)
            visitor.frames(8)
            visitor.say("record", on=False)
            saved = visitor.hear("recorded")
            dataset = EpisodeDataset(saved["folder"])
            (episode,) = [dataset[index] for index in range(len(dataset))]
            assert dataset.header["game"]["name"] == "Toy-Numpy" and len(episode.actions) == saved["steps"] >= 6
            assert (episode.actions == 1).sum() >= 4 and episode.frames.shape[1:] == (64, 64, 3)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[1, 2]",
        "{",
        '{"type": "start"}',
        '{"type": "start", "world": "../../etc", "seed": 0}',
        '{"type": "start", "world": "Toy-Numpy", "seed": -1}',
        '{"type": "start", "world": "Toy-Numpy", "seed": 0, "play": "9x3"}',
        '{"type": "start", "world": "Toy-Numpy", "seed": 0, "play": "0x99999_0x99999"}',
        '{"type": "start", "world": "Toy-Numpy", "seed": 0, "temperature": 1e999}',
        '{"type": "hold", "action": 4}',
        '{"type": "hold", "action": "left"}',
        '{"type": "hold", "action": true}',
        '{"type": "rewind", "steps": -3}',
        '{"type": "rewind", "steps": 1e300}',
        '{"type": "ack", "frame": 99999999999999999999999}',
        '{"type": "choose", "temperature": NaN}',
        '{"type": "__class__"}',
        '{"type": {"a": 1}}',
        "[" * 100_000,
        "9" * 100_000,
        b"",
        b"\0\1",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\2\0\2" + bytes(15),
    ],
    ids=lambda message: str(message)[:40],
)
def test_a_malformed_message_is_answered_and_play_goes_on(served, message):
    with served.visitor() as visitor:
        visitor.start()
        visitor.socket.send(message)
        said = None
        for _ in range(20):
            found = visitor.socket.recv(WAIT)
            if isinstance(found, str) and (said := json.loads(found))["type"] == "error":
                break
        assert said is not None and said["type"] == "error" and len(said["text"]) < 500
        visitor.start(seed=2)
        assert visitor.frames(2)


def test_a_flood_closes_its_own_connection_only(served, monkeypatch):
    monkeypatch.setattr("genie_gym.web.app.MOST_A_SECOND", 30.0)
    monkeypatch.setattr("genie_gym.web.app.BURST", 60.0)
    with served.visitor() as other, served.visitor() as visitor:
        other.start()
        visitor.start()
        with pytest.raises(ConnectionClosed):
            for _ in range(1000):
                visitor.say("pause", on=True)
            while True:
                visitor.socket.recv(WAIT)
        assert other.frames(other.frame().header["step"] + 3)


def test_too_large_a_message_closes_its_own_connection_only(served):
    with served.visitor() as other, served.visitor() as visitor:
        other.start()
        with pytest.raises(ConnectionClosed):
            visitor.socket.send(bytes(3 * 2**20))  # the server may close while it is still being sent
            while True:
                visitor.socket.recv(WAIT)
        assert other.frames(other.frame().header["step"] + 3)


def test_a_slow_page_stalls_nobody_and_is_dropped(served, monkeypatch):
    monkeypatch.setattr("genie_gym.web.player.PATIENCE", 1.0)
    with served.visitor() as other, served.visitor() as slow:
        other.start()
        slow.acknowledges = False
        slow.start()
        began, at = time.monotonic(), other.frame().header["step"]
        frames = []
        with pytest.raises(ConnectionClosed):
            while time.monotonic() < began + WAIT:
                other.frame()
                try:
                    frames.append(slow.socket.recv(0.001))
                except TimeoutError:
                    continue
        assert len([frame for frame in frames if isinstance(frame, bytes)]) < 20
        assert other.frame().header["step"] > at + 5


def test_the_house_may_be_full(world):
    with serving(world, visitors=1) as server, server.visitor() as visitor:
        visitor.start()
        with server.visitor() as late, pytest.raises(ConnectionClosed, match="play here already"):
            late.frame()
        assert visitor.frames(2)


def test_a_page_of_somebody_else_cannot_play(served):
    for origin in ("http://evil.example", f"http://evil.example:{served.port}", "null", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus), served.visitor(origin=origin):
            pass
    with served.visitor(origin=served.address) as visitor:
        assert visitor.start() is not None
    status, _, _ = request(served, "GET", "/api/worlds", Host="evil.example")  # a name that was made to point here
    assert status == 403


def test_other_machines_need_the_token(world):
    with serving(world, token="correcthorsebattery") as server:
        assert request(server, "GET", "/")[0] == 200
        assert request(server, "GET", "/api/worlds")[0] == 401
        assert request(server, "GET", "/api/worlds/Toy-Numpy/preview.png", Cookie="genie_gym_0=wrong")[0] == 401
        with pytest.raises(InvalidStatus), server.visitor():
            pass
        for body in (b'{"token": "wrong"}', b"", b"[]", b"{" * 5000, b'{"token": 7}'):
            assert request(server, "POST", "/api/token", body)[0] == 401
        status, _, headers = request(server, "POST", "/api/token", b'{"token": "correcthorsebattery"}')
        cookie = headers["set-cookie"].split(";")[0]
        assert status == 200 and "httponly" in headers["set-cookie"].lower()
        assert request(server, "GET", "/api/worlds", Cookie=cookie)[0] == 200
        with server.visitor(additional_headers={"Cookie": cookie}) as visitor:
            assert visitor.start() is not None


def test_thumbnails_move(served):
    status, content, _ = request(served, "GET", "/api/worlds/Toy-Numpy/preview.png")
    listed = json.loads(request(served, "GET", "/api/worlds")[1])
    frames = decode(content).reshape(listed["preview_frames"], 64, 64, 3)
    assert status == 200 and len({frame.tobytes() for frame in frames}) > 5
    assert request(served, "GET", "/api/worlds/..%2f..%2fx/preview.png")[0] == 404


def test_pages_may_load_from_here_only(served):
    for path in ("/", "/static/app.js", "/static/style.css"):
        status, _, headers = request(served, "GET", path)
        assert status == 200 and "default-src 'self'" in headers["content-security-policy"]
    for path in ("/docs", "/openapi.json", "/static/../app.py", "/static/..%2fapp.py", "/static/"):
        assert request(served, "GET", path)[0] == 404


def test_a_world_that_breaks_is_told_and_others_go_on(served, monkeypatch):
    from genie_gym.web import stage

    def breaks(*arguments):
        raise OSError("the disk is gone")

    with served.visitor() as visitor:
        visitor.start()
        with monkeypatch.context() as patch:
            patch.setattr(stage, "_pass", breaks)
            while True:
                said = visitor.socket.recv(WAIT)
                if isinstance(said, str) and json.loads(said)["type"] == "error":
                    break
        visitor.start(seed=1)
        assert visitor.frames(3)


def test_an_address_that_others_reach_has_a_token(world):
    from genie_gym.web.access import Access
    from genie_gym.web.config import ServeConfig

    drawn = {Access(ServeConfig(host=host)).token for host in ("0.0.0.0", "192.168.1.2", "::")}
    assert len(drawn) == 3 and None not in drawn and all(len(token) >= 32 for token in drawn)
    assert Access(ServeConfig()).token is None


def test_no_process_is_left_behind(world):
    import multiprocessing

    with serving(world) as server, server.visitor() as visitor:
        visitor.start(seed=3, real=True)
        (game,) = multiprocessing.active_children()
    ends = time.monotonic() + WAIT
    while game.is_alive() and time.monotonic() < ends:
        time.sleep(0.05)
    assert not game.is_alive() and os.getpid() != game.pid
