"""How many conversations and invitations there may be, of a person and of a conversation: the caps are ones here."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from tenfold.assembly.ties import FeedTies
from tenfold.kit.actors import Actor
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import Refusal
from tenfold.modules.chat.actions.membership import accept, invite, join
from tenfold.modules.chat.actions.open import open_conversation, open_direct
from tenfold.modules.chat.shapes import ChatPolicy, ConversationDraft
from tenfold.platform.db import Write
from tests.house.lively import done
from tests.modules.chat.talking import direct, group, id_of
from tests.world import Person, World


async def titles(person: Person, shelf: str) -> list[str]:
    page = done(await person.get("/v1/conversations", params={"shelf": shelf}))
    return [item["title"] or item["peer"]["handle"] for item in page["items"]]


async def refused(world: World, deed: Callable[[Write], Awaitable[Any]]) -> str | None:
    """The code of what refuses a deed; None when it is done."""
    try:
        await world.db.transact(deed)
    except Refusal as refusal:
        return refusal.code()
    return None


def actor_of(person: Person) -> Actor:
    assert person.actor is not None
    return person.actor


async def test_who_is_in_as_many_as_one_may_accepts_nothing(world: World) -> None:
    """However they were asked; and whoever they follow waits until there is room."""
    asked = await direct(world.eve, world.bob, accepted=False)
    done(await world.bob.put(f"/v1/users/{world.ana.id}/follow"))
    await group(world.bob)
    bob, ana, tight = actor_of(world.bob), actor_of(world.ana), ChatPolicy(conversations_cap=1)

    accepting = partial(accept, actor=bob, conversation_id=id_of(asked), policy=tight)
    opening = partial(open_direct, actor=ana, user_id=world.bob.id, policy=tight, ties=FeedTies())

    assert await refused(world, accepting) == "TooManyConversations"
    assert await refused(world, opening) is None
    assert sorted(await titles(world.bob, "requests")) == ["ana", "eve"]


async def test_a_conversation_has_as_many_invitations_as_seats(world: World) -> None:
    """Invitations cost nothing, so somebody could send any number; a channel counts those that wait."""
    people = [world.bob, world.eve]
    ana: dict[str, Any] = {"actor": actor_of(world.ana), "ties": FeedTies()}
    kinds: list[tuple[Literal["group", "channel"], ChatPolicy]] = [
        ("channel", ChatPolicy(invitations_cap=1)),
        ("group", ChatPolicy(group_cap=2)),
    ]

    for kind, policy in kinds:
        ask = {"conversation_id": id_of(await group(world.ana, kind=kind)), "policy": policy, **ana}
        draft = ConversationDraft(kind=kind, title="Friends", members=[person.id for person in people])
        asked = [await refused(world, partial(invite, user_id=people[turn].id, **ask)) for turn in (0, 0, 1)]
        opened = await refused(world, partial(open_conversation, draft=draft, policy=policy, **ana))

        assert asked == [None, None, "ConversationIsFull"]
        assert opened == "ConversationIsFull"


async def test_for_one_person_so_many_invitations_wait_and_no_more(world: World) -> None:
    """Whoever sends them, and of whatever kind: all are looked at whenever the person asks what waits."""
    await direct(world.bob, world.eve, accepted=False)
    conversation = await group(world.ana)
    ana: dict[str, Any] = {"actor": actor_of(world.ana), "policy": ChatPolicy(invitations_cap=1), "ties": FeedTies()}
    eve, draft = world.eve.id, ConversationDraft(title="Friends", members=[world.eve.id])

    codes = [
        await refused(world, partial(invite, conversation_id=id_of(conversation), user_id=eve, **ana)),
        await refused(world, partial(open_direct, user_id=eve, **ana)),
        await refused(world, partial(open_conversation, draft=draft, **ana)),
    ]

    assert codes == ["TooManyInvitations"] * 3
    assert await titles(world.eve, "requests") == ["bob"]


async def test_who_comes_unasked_leaves_a_seat_for_who_was_asked(world: World) -> None:
    """An open group of three: two are in, one is asked; whoever was asked finds their seat, at any time."""
    policy = ChatPolicy(group_cap=3)
    conversation = await group(world.ana, world.bob, access="open")
    done(await world.ana.put(f"/v1/conversations/{conversation['id']}/members/{world.eve.id}"))
    coming = {"conversation_id": id_of(conversation), "policy": policy}

    unasked = partial(join, actor=Actor(id=new_id(), session_id=new_id()), **coming)

    assert await refused(world, unasked) == "ConversationIsFull"
    assert await refused(world, partial(join, actor=actor_of(world.eve), **coming)) is None
    done(await world.bob.delete(f"/v1/conversations/{conversation['id']}/membership"))
    assert await refused(world, unasked) is None
