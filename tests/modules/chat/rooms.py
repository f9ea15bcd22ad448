"""Rooms by their address: open one with people in it, say things there, look at it."""

from datetime import timedelta
from typing import Any

from tests.house.lively import done
from tests.world import Person, World

__all__ = ["befriended", "done", "group_of", "later", "opened", "read", "say"]


async def group_of(owner: Person, *others: Person, **more: Any) -> str:
    """The address of a new group that all of them are in."""
    asked = {"title": "Friends", "members": [str(other.id) for other in others], **more}
    address = f"/v1/conversations/{done(await owner.post('/v1/conversations', asked))['id']}"
    for other in others:
        done(await other.put(f"{address}/membership"))
    return address


async def befriended(one: Person, other: Person) -> str:
    """The address of the direct conversation of two people who follow each other."""
    for person, peer in ((one, other), (other, one)):
        done(await person.put(f"/v1/users/{peer.id}/follow"))
    return await opened(one, other)


async def opened(one: Person, other: Person) -> str:
    """The address of the direct conversation that one opens with another."""
    return f"/v1/conversations/{done(await one.put(f'/v1/users/{other.id}/conversation'))['id']}"


async def say(person: Person, address: str, body: str, **more: Any) -> Any:
    """Send a message."""
    return done(await person.post(f"{address}/messages", {"body": body, **more}))


async def read(person: Person, address: str, **query: Any) -> list[Any]:
    """A stretch of history."""
    return done(await person.get(f"{address}/messages", params=query))["items"]


async def later(world: World, days: int) -> None:
    """Let days pass; people sign in again, since their tokens do not last so long."""
    world.clock.advance(timedelta(days=days))
    for person in (world.ana, world.bob, world.eve):
        done(await world.sign_in(person))
