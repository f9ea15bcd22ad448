"""Reports and what moderators make of them, through the doors."""

from typing import Any

from tests.modules.chat.rooms import done, group_of, read, say
from tests.world import World

REPORT = {"reason": "spam", "comment": "again and again"}


async def waiting(world: World) -> list[Any]:
    return done(await world.admin.get("/v1/admin/message-reports"))["items"]


async def test_a_report_waits_for_a_moderator(world: World) -> None:
    """With what the message says; the same person's second one changes nothing, and nobody else sees any."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'buy this'))['seq']}"

    for _ in range(2):
        assert (await world.bob.post(f"{at}/reports", REPORT)).status == 204
    [report] = await waiting(world)

    assert (report["body"], report["sender_id"]) == ("buy this", str(world.ana.id))
    assert (report["reporter_id"], report["reason"], report["is_held"]) == (str(world.bob.id), "spam", False)
    assert (await world.bob.get("/v1/admin/message-reports")).status == 404
    assert (await world.eve.post(f"{at}/reports", REPORT)).code == "ConversationNotFound"
    assert (await world.bob.post(f"{room}/messages/9999/reports", REPORT)).code == "MessageNotFound"
    assert (await world.bob.post(f"{at}/reports", {"reason": "dull"})).status == 400


async def test_what_is_held_is_deleted_for_all_until_it_is_released(world: World) -> None:
    """Its words are kept for moderators; released, it says again what it said, and mentions whom it mentioned."""
    room = await group_of(world.ana, world.bob)
    said = await say(world.ana, room, "buy this, bob", mentions=[str(world.bob.id)])
    at = f"{room}/messages/{said['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    done(await world.bob.post(f"{at}/reports", REPORT))

    done(await world.admin.put(verdict, {"outcome": "held", "reason": "looks like spam"}))
    held, unread = done(await world.bob.get(at)), done(await world.bob.get("/v1/me/unread"))
    found = done(await world.bob.get("/v1/messages/search", params={"q": "buy"}))["items"]
    settled = await waiting(world)
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "it is a joke"}))
    released = done(await world.bob.get(at))

    assert held["body"] == ""
    assert held["deleted_at"]
    assert (unread["messages"], unread["mentions"]) == (0, 0)
    assert found == settled == []
    assert (released["body"], released["mentions"]) == ("buy this, bob", [str(world.bob.id)])
    assert "deleted_at" not in released
    assert done(await world.bob.get("/v1/me/unread"))["mentions"] == 1
    assert (await world.ana.put(verdict, {"outcome": "deleted", "reason": "x"})).status == 404


async def test_nothing_that_a_held_message_said_before_is_shown(world: World) -> None:
    """Its earlier words are kept for its release, like its last ones."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'buy this'))['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    done(await world.ana.patch(at, {"body": "buy that"}))

    done(await world.admin.put(verdict, {"outcome": "held", "reason": "looks like spam"}))
    held = done(await world.bob.get(f"{at}/edits"))["items"]
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "it is a joke"}))

    assert held == []
    assert [edit["body"] for edit in done(await world.bob.get(f"{at}/edits"))["items"]] == ["buy this"]


async def test_what_is_deleted_by_a_moderator_stays_deleted(world: World) -> None:
    """Also one that was held; and the audit log knows who did it, and why."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'buy this'))['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    done(await world.bob.put(f"{at}/reactions/👍"))

    for outcome in ("held", "deleted", "dismissed"):
        done(await world.admin.put(verdict, {"outcome": outcome, "reason": f"spam: {outcome}"}))

    seen = done(await world.bob.get(at))
    assert seen["body"] == ""
    assert "deleted_at" in seen
    assert "reactions" not in seen
    async with world.db.read() as tx:
        deeds = await tx.connection.fetch("select deed from audit_log where deed like 'chat.%' order by id")
        assert await tx.connection.fetchval("select count(*) from held_messages") == 0
    assert [row["deed"] for row in deeds] == ["chat.message_held", "chat.message_deleted", "chat.message_dismissed"]
    assert [message["body"] for message in await read(world.bob, room) if message["kind"] == "text"] == [""]
