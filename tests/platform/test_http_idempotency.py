"""The same key and request give the same answer, and the deed happens once."""

import asyncio

from tests.platform.bookshop import Site


async def test_one_key_has_one_effect_however_often_it_is_sent(site: Site) -> None:
    """A client that saw no answer sends again, and cannot do the deed twice."""
    sent = [
        site.client.post("/v1/books", json={"title": "Emma"}, headers={"idempotency-key": "k-1"}) for _ in range(20)
    ]

    answers = await asyncio.gather(*sent)
    later = await site.client.post("/v1/books", json={"title": "Emma"}, headers={"idempotency-key": "k-1"})

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.text for answer in answers if answer.status_code == 201} == {later.text}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"IdempotencyKeyBusy"}
    assert later.headers["idempotency-replayed"] == "true"
    assert await site.count() == 1


async def test_a_key_cannot_be_used_for_another_request(site: Site) -> None:
    """It would otherwise answer with what was not asked."""
    await site.client.post("/v1/books", json={"title": "Emma"}, headers={"idempotency-key": "k-1"})

    other = await site.client.post("/v1/books", json={"title": "Ivanhoe"}, headers={"idempotency-key": "k-1"})
    other_person = await site.client.post(
        "/v1/books", json={"title": "Ivanhoe"}, headers={"idempotency-key": "k-1", "authorization": "Bearer boss"}
    )

    assert (other.status_code, other.json()["code"]) == (422, "IdempotencyKeyReused")
    assert other_person.status_code == 201


async def test_a_key_whose_deed_is_running_answers_busy(site: Site) -> None:
    """Also for doors that open transactions of their own."""
    headers = {"idempotency-key": "k-2"}
    first = asyncio.create_task(site.client.post("/v1/slow-books", json={"title": "Emma"}, headers=headers))
    await asyncio.wait_for(site.hold.arrived.wait(), 5)

    meanwhile = await site.client.post("/v1/slow-books", json={"title": "Emma"}, headers=headers)
    site.hold.go_on.set()
    done = await first
    again = await site.client.post("/v1/slow-books", json={"title": "Emma"}, headers=headers)

    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "IdempotencyKeyBusy")
    assert (done.status_code, again.status_code) == (201, 201)
    assert done.text == again.text
    assert await site.count() == 1


async def test_a_refused_deed_leaves_its_key_free(site: Site) -> None:
    """What was refused may be mended and sent again."""
    await site.client.post("/v1/books", json={"title": "Emma"})
    refused = await site.client.post("/v1/books", json={"title": "Emma"}, headers={"idempotency-key": "k-3"})

    mended = await site.client.post("/v1/books", json={"title": "Ivanhoe"}, headers={"idempotency-key": "k-3"})

    assert (refused.status_code, mended.status_code) == (409, 201)
