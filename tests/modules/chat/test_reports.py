"""Reports and what moderators make of them, through the doors."""

from datetime import timedelta
from typing import Any

import pytest

from tenfold.modules.chat.jobs.age import trim_histories
from tenfold.modules.chat.shapes import ChatPolicy
from tests.modules.chat.rooms import done, group_of, later, opened, read, say
from tests.world import PASSWORD, World

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


async def test_what_is_held_looks_deleted_in_every_way(world: World) -> None:
    """No reaction, nobody who reacted, no pin, though somebody who reacted leaves; released, it has all of it again."""
    room = await group_of(world.ana, world.bob, world.eve)
    at = f"{room}/messages/{(await say(world.ana, room, 'buy this'))['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    for person in (world.bob, world.eve):
        done(await person.put(f"{at}/reactions/👍"))
    done(await world.bob.put(f"{at}/pin"))
    before = done(await world.bob.get(at))

    done(await world.admin.put(verdict, {"outcome": "held", "reason": "looks like spam"}))
    held, people = done(await world.bob.get(at)), done(await world.bob.get(f"{at}/reactions/👍"))["items"]
    done(await world.eve.delete("/v1/me", {"password": PASSWORD}))
    await world.drain()
    still = done(await world.bob.get(at))
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "it is a joke"}))
    released = done(await world.bob.get(at))

    told = ("conversation_id", "seq", "sender_id", "kind", "body", "created_at", "change_no", "revision", "deleted_at")
    assert sorted(held) == sorted(told)
    assert people == []
    assert sorted(still) == sorted(told)
    assert released["reactions"] == {"👍": 1}
    assert (released["mine"], released["body"]) == (["👍"], "buy this")
    assert [released[name] for name in ("pinned_at", "pinned_by")] == [
        before[name] for name in ("pinned_at", "pinned_by")
    ]
    assert len(done(await world.ana.get(f"{at}/reactions/👍"))["items"]) == 1


async def test_what_its_sender_deletes_is_not_given_back(world: World) -> None:
    """To them a message on hold is one like any other that is deleted; to delete it says nothing else."""
    room = await group_of(world.ana, world.bob)
    said = await say(world.ana, room, "buy this")
    at = f"{room}/messages/{said['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    done(await world.admin.put(verdict, {"outcome": "held", "reason": "looks like spam"}))

    assert (await world.bob.delete(at)).code == "NotYourMessage"
    for _ in range(2):
        assert (await world.ana.delete(at)).status == 204
    waits = done(await world.admin.get("/v1/admin/held-messages"))["items"]
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "it is a joke"}))

    assert waits == []
    assert done(await world.bob.get(at))["body"] == ""


async def test_moderators_find_what_is_on_hold(world: World) -> None:
    """With its words, though every report of it is settled; nobody else sees the list."""
    room = await group_of(world.ana, world.bob)
    seqs = [(await say(world.ana, room, f"buy {n}"))["seq"] for n in range(3)]
    for seq in seqs:
        verdict = f"{room}/messages/{seq}/verdict".replace("/v1/", "/v1/admin/")
        done(await world.admin.put(verdict, {"outcome": "held", "reason": "looks like spam"}))
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "it is a joke"}))

    waits = done(await world.admin.get("/v1/admin/held-messages"))["items"]

    assert [(held["seq"], held["body"]) for held in waits] == [(seqs[0], "buy 0"), (seqs[1], "buy 1")]
    assert {held["sender_id"] for held in waits} == {str(world.ana.id)}
    assert {held["holder_id"] for held in waits} == {str(world.admin.id)}
    assert (await world.ana.get("/v1/admin/held-messages")).status == 404


async def test_a_report_keeps_what_was_reported(world: World) -> None:
    """However its sender changes, or deletes it, before a moderator comes."""
    room = await group_of(world.ana, world.bob)
    file = {"kind": "file", "url": "/media/1.zip"}
    at = f"{room}/messages/{(await say(world.ana, room, 'a threat', attachments=[file]))['seq']}"
    done(await world.bob.post(f"{at}/reports", REPORT))

    done(await world.ana.patch(at, {"body": "lovely weather"}))
    [edited] = await waiting(world)
    done(await world.ana.delete(at))
    [deleted] = await waiting(world)

    assert (edited["body"], edited["present_body"]) == ("a threat", "lovely weather")
    assert (deleted["body"], deleted["present_body"]) == ("a threat", "")
    assert edited["attachments"] == deleted["attachments"] == [file]


async def test_a_report_outlives_what_is_not_kept(world: World) -> None:
    """Time does not settle what waits for a moderator; once settled, it goes as well, and with its sender too."""
    room = await group_of(world.ana, world.bob)
    seqs = [(await say(world.ana, room, f"a threat {n}"))["seq"] for n in range(3)]
    for seq in seqs:
        done(await world.bob.post(f"{room}/messages/{seq}/reports", REPORT))
    done(await world.ana.patch(room, {"retention_days": 1}))
    await later(world, 3)
    done(await world.sign_in(world.admin))
    await trim_histories(world.db, ChatPolicy())

    reports = await waiting(world)
    verdicts = [f"{room}/messages/{seq}/verdict".replace("/v1/", "/v1/admin/") for seq in seqs]
    for verdict, outcome in zip(verdicts, ("dismissed", "deleted"), strict=False):
        assert (await world.admin.put(verdict, {"outcome": outcome, "reason": "seen"})).status == 204
    left = await waiting(world)
    done(await world.bob.put(f"{room}/membership"))
    done(await world.ana.patch(f"{room}/members/{world.bob.id}", {"role": "owner"}))
    done(await world.ana.delete("/v1/me", {"password": PASSWORD}))
    await world.drain()

    assert [(one["body"], one["sender_id"], one["present_body"]) for one in reports] == [
        (f"a threat {n}", str(world.ana.id), None) for n in range(3)
    ]
    assert [one["seq"] for one in left] == [seqs[2]]
    assert (await world.admin.put(verdicts[0], {"outcome": "held", "reason": "x"})).code == "MessageNotFound"
    async with world.db.read() as tx:
        assert await tx.connection.fetchval("select count(*) from message_reports") == 0


async def test_what_a_moderator_left_can_be_reported_again_once_it_is_edited(world: World) -> None:
    """What it says now was never judged; the same words are."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'hello'))['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    done(await world.bob.post(f"{at}/reports", REPORT))
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "harmless"}))

    done(await world.bob.post(f"{at}/reports", REPORT))
    same = await waiting(world)
    done(await world.ana.patch(at, {"body": "a threat"}))
    done(await world.bob.post(f"{at}/reports", {"reason": "abuse"}))
    [again] = await waiting(world)

    assert same == []
    assert (again["body"], again["reason"]) == ("a threat", "abuse")


async def test_the_oldest_reports_are_opened_again_by_an_edit_alone(world: World) -> None:
    """Of those it is not kept what they reported; whether it was edited since is."""
    room = await group_of(world.ana, world.bob)
    at = f"{room}/messages/{(await say(world.ana, room, 'hello'))['seq']}"
    verdict = at.replace("/v1/", "/v1/admin/") + "/verdict"
    done(await world.ana.patch(at, {"body": "hello you"}))
    world.clock.advance(timedelta(seconds=1))
    done(await world.bob.post(f"{at}/reports", REPORT))
    done(await world.admin.put(verdict, {"outcome": "dismissed", "reason": "harmless"}))
    async with world.db.write() as tx:
        await tx.connection.execute("update message_reports set body = null, attachments = null, sender_id = null")
    world.clock.advance(timedelta(seconds=1))

    done(await world.bob.post(f"{at}/reports", REPORT))
    same = await waiting(world)
    done(await world.ana.patch(at, {"body": "a threat"}))
    done(await world.bob.post(f"{at}/reports", REPORT))

    assert same == []
    assert [report["body"] for report in await waiting(world)] == ["a threat"]


@pytest.mark.parametrize("way", ["decline", "block"])
async def test_what_a_stranger_wrote_can_be_reported_after_they_were_turned_away(world: World, way: str) -> None:
    """To decline and block first is what people do; of what came later they know nothing."""
    room = await opened(world.eve, world.ana)
    seen = (await say(world.eve, room, "abuse"))["seq"]
    if way == "decline":
        done(await world.ana.delete(f"{room}/membership"))
        world.clock.advance(timedelta(seconds=1))
        unseen = (await say(world.eve, room, "more of it"))["seq"]
    else:
        done(await world.ana.put(f"/v1/users/{world.eve.id}/block"))
        await world.drain()
        unseen = seen + 1

    reported = await world.ana.post(f"{room}/messages/{seen}/reports", {"reason": "abuse"})
    other = await world.ana.post(f"{room}/messages/{unseen}/reports", {"reason": "abuse"})

    assert reported.status == 204
    assert other.code == "ConversationNotFound"
    assert [report["seq"] for report in await waiting(world)] == [seen]
    assert (await world.bob.post(f"{room}/messages/{seen}/reports", {"reason": "abuse"})).code == "ConversationNotFound"


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
