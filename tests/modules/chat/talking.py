"""People who talk, through the doors: short words for what the tests of chat do all the time."""

from typing import Any
from uuid import UUID

from tests.house.lively import done
from tests.world import Person


def at(conversation: Any) -> str:
    """Where a conversation is."""
    return f"/v1/conversations/{conversation['id']}"


async def direct(one: Person, other: Person, *, accepted: bool = True) -> Any:
    """The conversation of two people, which the other lets in."""
    conversation = done(await one.put(f"/v1/users/{other.id}/conversation"))
    if accepted:
        done(await other.put(f"{at(conversation)}/membership"))
    return conversation


async def group(owner: Person, *others: Person, **draft: Any) -> Any:
    """A group of these people, all of whom have come."""
    members = [str(person.id) for person in others]
    conversation = done(await owner.post("/v1/conversations", {"title": "Friends", "members": members, **draft}))
    for person in others:
        done(await person.put(f"{at(conversation)}/membership"))
    return conversation


async def say(person: Person, conversation: Any, body: str = "hello", **draft: Any) -> Any:
    """Send a message."""
    return done(await person.post(f"{at(conversation)}/messages", {"body": body, **draft}))


async def history(person: Person, conversation: Any, **query: Any) -> Any:
    """A stretch of the conversation."""
    return done(await person.get(f"{at(conversation)}/messages", params=query))


async def texts(person: Person, conversation: Any, **query: Any) -> list[str]:
    """What was said there; notices and tombstones are not."""
    items = (await history(person, conversation, **query))["items"]
    return [item["body"] for item in items if item["kind"] == "text" and "deleted_at" not in item]


async def seen(person: Person, conversation: Any) -> Any:
    """The conversation as somebody sees it."""
    return done(await person.get(at(conversation)))


async def unread(person: Person, conversation: Any) -> int:
    """How many messages wait there."""
    return (await seen(person, conversation))["mine"]["unread"]


def id_of(conversation: Any) -> UUID:
    """Its id, as a value."""
    return UUID(conversation["id"])
