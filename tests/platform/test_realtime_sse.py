"""Server-sent events on a real server, read as an EventSource of a browser reads them."""

import asyncio
import json
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.platform.realtime import mending, sse, user_channel
from tenfold.platform.realtime.admission import Admission, AdmissionRules
from tenfold.platform.realtime.lobby import SessionRules
from tests.platform.event_source import stand
from tests.platform.realtime_faults import Ledger
from tests.platform.realtime_world import RealtimeWorld, everybody, person
from tests.waiting import until


def room() -> str:
    return f"room:{new_id()}"


@pytest.mark.parametrize("post", [False, True])
async def test_a_stream_begins_with_connect_and_brings_pushes_as_they_are(post: bool) -> None:
    """No wrapper, no reply, no pong asked for: a browser's own EventSource is client enough."""
    async with stand() as at:
        ana = person()
        own = user_channel(ana.id)
        async with at.open({"token": at.world.token(ana)}, method="POST" if post else "GET") as source:
            connect = (await source.next())["connect"]
            await at.world.hub.publish([own], {"n": 1})
            push = await source.next()

            assert source.status == 200
            assert source.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert "no-store" in source.headers["cache-control"]
            assert connect["client"]
            assert connect["ping"] == 25
            assert "pong" not in connect
            assert own in connect["subs"]
            assert (push["channel"], push["pub"]["data"], push["pub"]["offset"]) == (own, {"n": 1}, 1)


async def test_a_token_may_come_as_a_header() -> None:
    """Where a client can send one, the token stays out of addresses and their logs."""
    async with stand() as at:
        token = at.world.token(person())
        async with at.open(head=f"Authorization: Bearer {token}") as source:
            assert "connect" in await source.next()


async def test_channels_that_are_asked_for_are_in_the_first_event() -> None:
    """Whoever may listen hears them; whoever may not is told so, and hears the rest."""

    async def some(actor: Actor, room_id: UUID) -> bool:
        return str(room_id) != shut.removeprefix("room:")

    shut, open_ = room(), room()
    async with stand(RealtimeWorld(may_listen=some)) as at:
        asked = {"token": at.world.token(person()), "subs": {shut: {}, open_: {}, "nothing:1": {}}}
        async with at.open(asked) as source:
            connect = (await source.next())["connect"]
            refused = [await source.next(), await source.next()]
            await at.world.hub.publish([shut, open_], "hello")
            push = await source.next()

        assert open_ in connect["subs"]
        assert shut not in connect["subs"]
        assert refused == [
            {"channel": shut, "unsubscribe": {"code": 103, "reason": "permission denied"}},
            {"channel": "nothing:1", "unsubscribe": {"code": 102, "reason": "unknown channel"}},
        ]
        assert (push["channel"], push["pub"]["data"]) == (open_, "hello")


async def test_a_reader_that_comes_back_gets_what_it_missed() -> None:
    """Its own channel and the one it asked for, from the positions that it knows; or hears that there is a gap."""
    async with stand() as at:
        ana, channel = person(), room()
        channels = [user_channel(ana.id), channel]
        asked: dict[str, Any] = {"token": at.world.token(ana), "subs": {channel: {}}}
        async with at.open(asked) as source:
            subs = (await source.next())["connect"]["subs"]
        await at.world.hub.publish(channels, "missed")
        known = {name: {"recover": True, "epoch": subs[name]["epoch"], "offset": 0} for name in channels}
        async with at.open({**asked, "subs": known}) as source:
            back = (await source.next())["connect"]["subs"]
        known[channel]["epoch"] = "another"
        async with at.open({**asked, "subs": known}) as source:
            lost = (await source.next())["connect"]["subs"][channel]

        for name in channels:
            assert back[name]["recovered"]
            assert [publication["data"] for publication in back[name]["publications"]] == ["missed"]
        assert lost["was_recovering"]
        assert "recovered" not in lost


async def test_nothing_comes_before_connect() -> None:
    """What is published while a channel is still being asked about follows the first event, in order."""
    gate = asyncio.Event()

    async def slowly(actor: Actor, room_id: UUID) -> bool:
        await gate.wait()
        return True

    async with stand(RealtimeWorld(may_listen=slowly)) as at:
        ana = person()
        own = user_channel(ana.id)
        async with at.open({"token": at.world.token(ana), "subs": {room(): {}}}) as source:
            await until(lambda: at.world.hub.listening([own]))
            for n in range(3):
                await at.world.hub.publish([own], n)
            gate.set()
            events = [await source.next() for _ in range(4)]

        assert "connect" in events[0]
        assert [event["pub"]["data"] for event in events[1:]] == [0, 1, 2]


async def test_a_long_recovery_goes_on_after_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parts wait until the other channels are answered: held all that time, they would be more than is held."""
    monkeypatch.setattr(mending, "LARGE", 4096)
    monkeypatch.setattr(sse, "MOST_HELD", 4096)
    ledger, id_ = Ledger(), new_id()
    for n in range(1000):
        ledger.write(id_, f"thing {n}", n)

    async def slowly(actor: Actor, room_id: UUID) -> bool:
        await asyncio.sleep(0.3)
        return True

    world, ana, long = RealtimeWorld(may_listen=slowly, channels=[ledger.channel()]), person(), f"ledger:{id_}"
    async with stand(world) as at:
        subs = {long: {"recover": True, "epoch": world.hub.durable_epoch, "offset": 1}, room(): {}}
        async with at.open({"token": world.token(ana), "subs": subs}) as source:
            begun = (await source.next())["connect"]["subs"][long]
            first = [publication["offset"] for publication in begun["publications"]]
            rest = [(await source.next())["pub"]["offset"] for _ in range(1000 - first[-1])]

    assert begun["recovered"]
    assert first[-1] < 1000
    assert first + rest == list(range(2, 1001))


async def test_pings_come_and_need_no_answer() -> None:
    """A client that cannot speak is not cut off for its silence."""
    rules = SessionRules(ping_interval=0.2, pong_timeout=0.5)
    async with stand(RealtimeWorld(rules=rules)) as at, at.open({"token": at.world.token(person())}) as source:
        assert "connect" in await source.next()

        assert [await source.next() for _ in range(4)] == [{}, {}, {}, {}]


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [("forged", 3500, "invalid token"), ("expired", 3005, "connection expired"), ("", 3500, "invalid token")],
)
async def test_whoever_may_not_connect_is_told_by_the_only_event(token: str, code: int, reason: str) -> None:
    """With the standard code; an EventSource that stays alone with it asks again in an hour, not at once."""
    async with stand() as at:
        if token == "expired":
            token = at.world.token(person(), lives=timedelta(seconds=-1))
        async with at.open({"token": token}) as source:
            assert await source.next() == {"disconnect": {"code": code, "reason": reason}}
            assert await source.next() is None
            assert (source.retry == 3_600_000) is (code >= 3500)


async def test_a_revoked_session_ends_the_stream() -> None:
    """Within a second, like every other connection of it."""
    async with stand() as at:
        ana = person()
        async with at.open({"token": at.world.token(ana)}) as source:
            await source.next()
            await at.world.hub.disconnect(session_ids=[ana.session_id])

            assert await source.next() == {"disconnect": {"code": 3503, "reason": "force disconnect"}}
            assert await source.next() is None


async def test_a_stopping_server_says_when_to_come_back() -> None:
    """The stream ends by itself, so that the process need not wait for it, and nobody new is let in."""
    async with stand() as at, at.open({"token": at.world.token(person())}) as source:
        await source.next()
        await at.endpoint.drain(timedelta(milliseconds=50))

        assert await source.next() == {"disconnect": {"code": 3001, "reason": "shutdown"}}
        assert source.retry is not None
        assert 500 <= source.retry <= 3000
        async with at.open({}) as late:
            assert late.status == 503


async def test_a_slow_reader_is_cut_off() -> None:
    """What waits for it is bounded, and it holds no session any more."""
    async with stand(queue_size=64 * 1024, close_timeout=timedelta(seconds=0.2)) as at:
        ana = person()
        own = user_channel(ana.id)
        async with at.open({"token": at.world.token(ana)}, limit=1024) as source:
            await source.next()
            for _ in range(400):
                await at.world.hub.publish([own], "x" * 50_000)
                await asyncio.sleep(0)
            await until(lambda: at.endpoint.connections == 0)

            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await source.reader.readexactly(1 << 30)


async def test_a_reader_that_goes_leaves_nothing_behind() -> None:
    """Its session ends with its request."""
    async with stand() as at:
        async with at.open({"token": at.world.token(person())}) as source:
            await source.next()
            assert at.endpoint.connections == 1

        await until(lambda: at.endpoint.connections == 0)


@pytest.mark.parametrize("text", ["{", "[]", '{"token": 7}', '{"subs": {"a": 1}}', "[" * 3000])
@pytest.mark.parametrize("post", [False, True])
async def test_a_malformed_request_is_refused_as_a_problem(text: str, post: bool) -> None:
    """No stream is begun for it."""
    async with stand() as at, at.open(text, method="POST" if post else "GET") as source:
        assert source.status == 400
        assert json.loads(await source.body())["code"] == "Malformed"


async def test_a_request_that_is_too_large_is_refused() -> None:
    """Before it is read."""
    async with stand() as at, at.open({"token": "x" * 70_000}, method="POST") as source:
        assert source.status == 413


async def test_limits_on_connections_hold_for_streams() -> None:
    """By address, together with WebSockets; a page of another origin is not let in."""
    rules = AdmissionRules(sockets_per_address=1, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with stand(RealtimeWorld(may_listen=everybody), Admission(rules)) as at:
        asked, where = {"token": at.world.token(person())}, "X-Forwarded-For: 192.0.2.1"
        async with at.open(asked, head=where) as first, at.open(asked, head=where) as second:
            assert "connect" in await first.next()
            assert second.status == 429
        async with at.open(asked, head="Origin: https://evil.example") as foreign:
            assert foreign.status == 403


async def test_pages_of_an_allowed_origin_may_read() -> None:
    """A browser asks for that in the head of the answer; others get no such word."""
    origin = "https://app.example"
    admission = Admission(AdmissionRules(allowed_origins=(origin,)))
    async with stand(RealtimeWorld(), admission, cors_origins=(origin,)) as at:
        asked = {"token": at.world.token(person())}
        async with at.open(asked, head=f"Origin: {origin}") as theirs, at.open(asked) as ours:
            assert theirs.headers["access-control-allow-origin"] == origin
            assert "access-control-allow-origin" not in ours.headers


async def test_a_browser_asks_first_whether_it_may_post() -> None:
    """The preflight of a request with a JSON body, from a page that may and from one that may not."""
    origin = "https://app.example"
    async with stand(RealtimeWorld(), cors_origins=(origin,)) as at:
        async with at.open(method="OPTIONS", head=f"Origin: {origin}") as theirs:
            assert theirs.status == 204
            assert theirs.headers["access-control-allow-origin"] == origin
            assert "content-type" in theirs.headers["access-control-allow-headers"]
        async with at.open(method="OPTIONS", head="Origin: https://evil.example") as foreign:
            assert "access-control-allow-origin" not in foreign.headers
        async with at.open(method="DELETE") as odd:
            assert odd.status == 405
