"""Posts through the doors: publish, answer, quote, edit, delete, and what others may not see."""

from tenfold.platform import audit
from tests.modules.feed.writing import at, publish, ref
from tests.world import World


async def test_a_published_post_can_be_read_by_everybody(world: World) -> None:
    """What publishing answers is what reading answers; a visitor has no state of their own."""
    post = await publish(world.ana, "  Grüße,\r\nWelt  ", lang="DE-at")

    read = await world.ana.get(at(post))
    seen = await world.visitor.get(at(post))

    assert read.body == post
    assert post["body"] == "Grüße,\nWelt"
    assert post["lang"] == "de-AT"
    assert post["author"]["handle"] == "ana"
    assert post["counts"] == {"likes": 0, "reposts": 0, "quotes": 0, "replies": 0}
    assert post["viewer"] == {"liked": False, "bookmarked": False, "reposted": False, "follows_author": False}
    assert seen.body == {**post, "viewer": None}


REFUSED = [
    ({"body": ""}, "body.body"),
    ({"body": " \n\t "}, "body.body"),
    ({"body": "\u200b\u200d"}, "body.body"),
    ({"body": "a\u0000b"}, "body.body"),
    ({"body": "a\u001bb"}, "body.body"),
    ({"body": "a\u0085b"}, "body.body"),
    ({"body": "x" * 5001}, "body.body"),
    ({"body": 7}, "body.body"),
    ({"body": "x", "lang": "not a language"}, "body.lang"),
    ({"body": "x", "visibility": "friends"}, "body.visibility"),
    ({"body": "x", "reply_to": {"author_id": "me", "id": "it"}}, "body.reply_to.author_id"),
    ({"body": "x", "colour": "red"}, "body"),
    ({}, "body"),
]


async def test_what_cannot_be_published_names_its_field(world: World) -> None:
    """A client can put the fault beside the input; nothing is stored."""
    answers = [(await world.ana.post("/v1/posts", body), field) for body, field in REFUSED]

    for answer, field in answers:
        assert answer.status == 400
        assert answer.body["errors"][0]["field"].startswith(field)
    assert (await world.ana.get(f"/v1/users/{world.ana.id}/posts")).body["items"] == []


async def test_five_thousand_characters_fit(world: World) -> None:
    """Characters, not bytes."""
    post = await publish(world.ana, "\U0001f41d" * 5000)

    assert len(post["body"]) == 5000


async def test_a_post_for_followers_is_not_found_by_others(world: World) -> None:
    """Not forbidden: it does not exist for them, by any door."""
    post = await publish(world.ana, visibility="followers")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")

    assert (await world.bob.get(at(post))).status == 200
    for person in (world.eve, world.visitor):
        assert (await person.get(at(post))).code == "PostNotFound"
        for list_ in ("likes", "replies", "quotes", "reposts", "edits"):
            assert (await person.get(f"{at(post)}/{list_}")).code == "PostNotFound"
        assert (await person.get(f"/v1/users/{world.ana.id}/posts")).body["items"] == []
    for deed in ("like", "bookmark", "repost"):
        assert (await world.eve.put(f"{at(post)}/{deed}")).code == "PostNotFound"
    assert (await world.eve.post("/v1/posts", {"body": "x", "reply_to": ref(post)})).code == "PostNotFound"


async def test_an_answer_is_listed_under_its_post_and_knows_the_root(world: World) -> None:
    """Oldest first; an answer to an answer belongs to the same root, and counts at its own parent."""
    post = await publish(world.ana)
    first = await publish(world.bob, "first", reply_to=ref(post))
    second = await publish(world.eve, "second", reply_to=ref(post))
    nested = await publish(world.ana, "nested", reply_to=ref(first))

    replies = await world.visitor.get(f"{at(post)}/replies")

    assert [item["body"] for item in replies.body["items"]] == ["first", "second"]
    assert nested["reply_to"] == ref(first)
    assert nested["root"] == ref(post)
    assert second["root"] == ref(post)
    assert (await world.ana.get(at(post))).body["counts"]["replies"] == 2
    assert (await world.ana.get(at(first))).body["counts"]["replies"] == 1


async def test_a_quote_carries_what_it_quotes_until_that_is_gone(world: World) -> None:
    """Afterwards its address stands alone; who is blocked sees it like that from the start."""
    post = await publish(world.ana, "original")
    quote = await publish(world.bob, "look", quote_of=ref(post))
    await world.ana.put(f"/v1/users/{world.eve.id}/block")

    read = (await world.bob.get(at(quote))).body
    for_eve = (await world.eve.get(at(quote))).body
    quotes = (await world.ana.get(f"{at(post)}/quotes")).body["items"]
    await world.ana.delete(at(post))
    bare = (await world.bob.get(at(quote))).body

    assert read == quote
    assert read["quote_of"]["post"]["body"] == "original"
    assert read["quote_of"]["post"]["counts"]["quotes"] == 1
    assert [item["id"] for item in quotes] == [quote["id"]]
    assert bare["quote_of"] == for_eve["quote_of"] == {**ref(post), "post": None}


async def test_a_post_for_followers_is_neither_quoted_nor_reposted(world: World) -> None:
    """It would show others what they may not see."""
    post = await publish(world.ana, visibility="followers")
    await world.bob.put(f"/v1/users/{world.ana.id}/follow")

    quoted = await world.bob.post("/v1/posts", {"body": "x", "quote_of": ref(post)})
    reposted = await world.bob.put(f"{at(post)}/repost")

    assert quoted.code == reposted.code == "PostIsForFollowers"


async def test_an_edit_keeps_what_was_said_before(world: World) -> None:
    """Everybody who sees the post sees its history; an edit that changes nothing leaves no trace."""
    post = await publish(world.ana, "one", lang="en")

    await world.ana.patch(at(post), {"body": "one"})
    edited = await world.ana.patch(at(post), {"body": "two"})
    await world.ana.patch(at(post), {"lang": None})
    edits = (await world.visitor.get(f"{at(post)}/edits")).body["items"]

    assert edited.body["body"] == "two"
    assert edited.body["edited_at"] is not None
    assert [(edit["body"], edit["lang"]) for edit in edits] == [("two", "en"), ("one", "en")]
    assert edits[1]["written_at"] == post["created_at"]
    assert (await world.visitor.get(at(post))).body["lang"] is None


async def test_nobody_edits_or_deletes_what_another_wrote(world: World) -> None:
    """It is not found, as if it were not there."""
    post = await publish(world.ana)

    assert (await world.bob.patch(at(post), {"body": "mine"})).code == "PostNotFound"
    assert (await world.bob.delete(at(post))).code == "PostNotFound"
    assert (await world.visitor.delete(at(post))).status == 401
    assert (await world.bob.get(at(post))).body["body"] == "Hello"


async def test_a_deleted_post_is_gone_from_everywhere(world: World) -> None:
    """From its address, its author's list, its parent's answers and every counter."""
    parent = await publish(world.bob)
    post = await publish(world.ana, reply_to=ref(parent))
    await world.bob.put(f"{at(post)}/bookmark")

    deleted = await world.ana.delete(at(post))

    assert deleted.status == 204
    assert (await world.ana.get(at(post))).code == "PostNotFound"
    assert (await world.ana.delete(at(post))).code == "PostNotFound"
    assert (await world.ana.get(f"/v1/users/{world.ana.id}/posts")).body["items"] == []
    assert (await world.bob.get("/v1/me/bookmarks")).body["items"] == []
    assert (await world.bob.get(f"{at(parent)}/replies")).body["items"] == []
    assert (await world.bob.get(at(parent))).body["counts"]["replies"] == 0
    assert (await world.bob.get(f"/v1/users/{world.ana.id}/counts")).body["posts"] == 0


async def test_a_moderator_removes_a_post_and_leaves_a_line(world: World) -> None:
    """Removal needs a reason, whose e-mail addresses are left out; for everybody else the door is not there."""
    post = await publish(world.eve, "spam")
    path = f"/v1/admin{at(post).removeprefix('/v1')}"

    assert (await world.bob.delete(path, params={"reason": "spam"})).status == 404
    assert (await world.admin.delete(path)).status == 400
    assert (await world.admin.delete(path, params={"reason": "spam for eve@example.org"})).status == 204
    assert (await world.eve.get(at(post))).code == "PostNotFound"
    async with world.db.read() as tx:
        lines = (await audit.list_lines(tx, about=world.eve.id, limit=1)).items
    assert [(line.deed, line.details["reason"]) for line in lines] == [("feed.post_removed", "spam for (address)")]


async def test_one_idempotency_key_publishes_once(world: World) -> None:
    """A client that got no answer may ask again."""
    headers = {"Idempotency-Key": "a-key-of-a-client"}

    first = await world.ana.post("/v1/posts", {"body": "once"}, headers=headers)
    again = await world.ana.post("/v1/posts", {"body": "once"}, headers=headers)

    assert first.body == again.body
    assert len((await world.ana.get(f"/v1/users/{world.ana.id}/posts")).body["items"]) == 1


async def test_a_person_who_is_not_there_has_no_posts(world: World) -> None:
    """An empty list and a missing person are told apart."""
    nobody = "01890000-0000-7000-8000-000000000000"

    assert (await world.visitor.get(f"/v1/users/{nobody}/posts")).code == "UserNotFound"
    assert (await world.visitor.get(f"/v1/users/{world.ana.id}/posts")).body == {"items": [], "next": None}
