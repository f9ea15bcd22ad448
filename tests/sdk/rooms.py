"""Rooms: channels that have everything a channel can have; one of them is shut."""

import sys
from uuid import UUID

from msgspec import Raw

from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.platform.module import Module
from tenfold.platform.realtime import channel

SHUT = UUID("01890000-0000-7000-8000-0000000005f7")


async def say(actor: Actor, data: Raw, room_id: UUID) -> Raw:
    return data


@channel("room:{room_id}", presence=True, join_leave=True, may_publish=say)
async def room(actor: Actor, room_id: UUID) -> bool:
    return room_id != SHUT


@channel("hall:{hall_id}")
async def hall(actor: Actor, hall_id: UUID) -> bool:
    return True


def a_room() -> str:
    return f"room:{new_id()}"


module = Module(name="rooms", package=__package__, live=sys.modules[__name__])
