"""How tests of the feed write posts and speak of them."""

from typing import Any

from tests.world import Person


def at(post: dict[str, Any]) -> str:
    return f"/v1/users/{post['author']['id']}/posts/{post['id']}"


def ref(post: dict[str, Any]) -> dict[str, Any]:
    return {"author_id": post["author"]["id"], "id": post["id"]}


async def publish(person: Person, body: str = "Hello", **more: object) -> dict[str, Any]:
    answer = await person.post("/v1/posts", {"body": body, **more})
    assert answer.status == 201, answer
    return answer.body
