"""The official Python SDK of Centrifugo, unchanged, on both transports."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from centrifuge import (
    ClientState,
)

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.platform.realtime import user_channel
from tests.platform.realtime_house import RoomNotes, house, sdk
from tests.platform.realtime_world import RealtimeWorld, person
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("transport")


async def test_the_sdk_connects_and_hears_its_own_channel() -> None:
    """With nothing but its token."""
    async with house() as at:
        ana, bob = person(), person()
        async with sdk(at, at.world.token(ana)) as (client, diary):
            await client.ready()
            await until(lambda: diary.recoveries)
            await at.world.hub.publish([user_channel(ana.id), user_channel(bob.id)], {"kind": "post", "n": 1})
            await until(lambda: diary.heard)

            assert diary.heard == [{"kind": "post", "n": 1}]
            assert diary.recoveries == [(False, False)]


async def test_the_sdk_subscribes_and_reads_history() -> None:
    """A channel on demand; then unsubscribes, and the connection goes on."""
    async with house() as at, sdk(at, at.world.token(person())) as (client, _):
        channel, diary = f"room:{new_id()}", RoomNotes()
        subscription = client.new_subscription(channel, events=diary)
        await subscription.subscribe()
        await subscription.ready()
        for n in range(3):
            await at.world.hub.publish([channel], n)
        await until(lambda: len(diary.heard) == 3)
        history = await subscription.history(limit=2, reverse=True)
        await subscription.unsubscribe()
        await at.world.hub.publish([channel], "late")
        await asyncio.sleep(0.02)

        assert diary.heard == [0, 1, 2]
        assert [publication.data for publication in history.publications] == [2, 1]
        assert client.state == ClientState.CONNECTED


async def test_the_sdk_is_told_why_it_may_not_subscribe() -> None:
    """A refusal ends the attempt for good, and touches nothing else."""

    async def nobody(actor: Actor, room_id: UUID) -> bool:
        return False

    async with house(RealtimeWorld(may_listen=nobody)) as at, sdk(at, at.world.token(person())) as (client, _):
        diary = RoomNotes()
        await client.new_subscription(f"room:{new_id()}", events=diary).subscribe()
        await until(lambda: diary.ended)

        assert diary.ended == [(103, "permission denied")]
        assert client.state == ClientState.CONNECTED


async def test_the_sdk_recovers_what_it_missed_after_its_connection_was_cut() -> None:
    """On the channel it was given and on the one it asked for: complete, in order, nothing twice."""
    async with house() as at:
        ana = person()
        async with sdk(at, at.world.token(ana)) as (client, diary):
            room, room_diary = f"room:{new_id()}", RoomNotes()
            subscription = client.new_subscription(room, events=room_diary, recoverable=True)
            await subscription.subscribe()
            await subscription.ready()
            channels = [user_channel(ana.id), room]
            await at.world.hub.publish(channels, 0)
            await until(lambda: diary.heard and room_diary.heard)

            for n in range(1, 10):
                if n % 3 == 1:
                    at.cut()
                    await until(lambda: not len(at.world.hub.guests))
                await at.world.hub.publish(channels, n)
                if n % 3 == 0:
                    await until(lambda n=n: len(diary.heard) == len(room_diary.heard) == n + 1)

            assert diary.heard == room_diary.heard == list(range(10))
            assert diary.recoveries == room_diary.recoveries == [(False, False), *[(True, True)] * 3]


async def test_the_sdk_is_told_when_history_is_gone() -> None:
    """`recovered: false`: the application loads anew."""
    async with house(RealtimeWorld(history_size=2)) as at:
        ana = person()
        async with sdk(at, at.world.token(ana)) as (client, diary):
            await until(lambda: diary.recoveries)
            at.cut()
            await until(lambda: not len(at.world.hub.guests))
            for n in range(3):
                await at.world.hub.publish([user_channel(ana.id)], n)
            await until(lambda: len(diary.recoveries) == 2)
            await at.world.hub.publish([user_channel(ana.id)], "live")
            await until(lambda: diary.heard)

            assert diary.recoveries == [(False, False), (True, False)]
            assert diary.heard == ["live"]
            assert client.state == ClientState.CONNECTED


async def test_a_revoked_session_is_gone_within_a_second_and_stays_away() -> None:
    """The other device of the same person notices nothing."""
    async with house() as at:
        laptop = person()
        phone = Actor(id=laptop.id, session_id=new_id())
        async with (
            sdk(at, at.world.token(laptop)) as (client, diary),
            sdk(at, at.world.token(phone)) as (other, _),
        ):
            await client.ready()
            await other.ready()
            await at.world.hub.disconnect(session_ids=[laptop.session_id])
            await until(lambda: diary.ended, timeout=1)
            await asyncio.sleep(0.3)

            assert diary.ended == [(3503, "force disconnect")]
            assert (client.state, diary.connects) == (ClientState.DISCONNECTED, 1)
            assert other.state == ClientState.CONNECTED


async def test_a_forged_token_is_refused_for_good() -> None:
    """The SDK stops."""
    async with house() as at, sdk(at, "forged") as (client, diary):
        await until(lambda: diary.ended)

        assert diary.ended == [(3500, "invalid token")]
        assert client.state == ClientState.DISCONNECTED


async def test_the_sdk_renews_an_expired_token_and_then_refreshes_it() -> None:
    """It comes with an old one, is sent for a new one, and renews that one on the open connection when it is due."""
    async with house() as at:
        ana, given = person(), []

        async def get_token() -> str:
            given.append(at.world.token(ana, lives=timedelta(seconds=2.9)))
            return given[-1]

        expired = at.world.token(ana, lives=timedelta(seconds=-1))
        async with sdk(at, expired, get_token=get_token) as (client, diary):
            await until(lambda: len(given) == 2)
            await asyncio.sleep(0.1)

            assert diary.errors == [109]
            assert diary.connects == 1
            assert client.state == ClientState.CONNECTED
