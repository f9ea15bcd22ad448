"""What comes in from outside is read strictly, and whatever is wrong with it is a refusal that names the field."""

import contextlib
import json
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.pages import Limit
from tenfold.kit.refusals import Invalid, Malformed, Refusal, TooLarge
from tenfold.platform.http.answers import entity_tag, has_same
from tenfold.platform.http.problems import UnsupportedMediaType
from tenfold.platform.http.requests import ClientGone, decode_body, decode_query, read_body


class Draft(msgspec.Struct, forbid_unknown_fields=True):
    body: Annotated[str, msgspec.Meta(max_length=10)]
    times: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    tags: list[str] = []


class Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    limit: Limit = 20
    author: UUID | None = None


decoder = msgspec.json.Decoder(Draft)
JSON = {b"content-type": b"application/json; charset=utf-8"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"body": 1}', "body.body"),
        (b'{"body": "x", "colour": 1}', "body.colour"),
        (b"{}", "body.body"),
        (b'{"body": "x", "body": "y"}', "body.body"),
        (b'{"body": "12345678901"}', "body.body"),
        (b'{"body": "x", "times": 1001}', "body.times"),
        (b'{"body": "x", "times": 99999999999999999999999999}', "body.times"),
        (b'{"body": "\\u0000"}', "body.body"),
        (b'{"body": "\\ud800"}', "body.body"),
        (b'{"body": "x", "tags": ["\\u0000"]}', "body.tags"),
        (b'{"body": "x", "tags": [1]}', "body.tags[0]"),
        (b"", "body"),
    ],
)
def test_a_bad_field_is_named(body: bytes, field: str) -> None:
    """A developer reads the answer and knows what to mend."""
    with pytest.raises(Invalid) as refusal:
        decode_body(body, decoder, JSON)

    assert refusal.value.extra["errors"][0]["field"] == field  # type: ignore[index]


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b"\xff\xfe", b'{"body": NaN}', b"[" * 100_000, b'{"body": "x", "times": ' + b"9" * 5000 + b"}"],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    """Nothing that a client sends becomes an error of ours."""
    with pytest.raises(Malformed):
        decode_body(body, decoder, JSON)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_draft_or_a_refusal(body: bytes) -> None:
    """No input escapes as another exception."""
    with contextlib.suppress(Refusal):
        decode_body(body, decoder, JSON)


@given(
    st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
)
def test_any_json_object_is_a_draft_or_a_refusal(values: dict[str, Any]) -> None:
    """The same for objects of every shape."""
    with contextlib.suppress(Refusal):
        decode_body(json.dumps(values).encode(), decoder, JSON)


def test_a_body_that_is_not_declared_json_is_refused() -> None:
    """A form would otherwise be read as something it is not, and a page of another origin could send it unasked."""
    with pytest.raises(UnsupportedMediaType):
        decode_body(b"{}", decoder, {b"content-type": b"application/x-www-form-urlencoded"})


def test_a_compressed_body_is_refused() -> None:
    """It would be unpacked past every limit, or read as something it is not."""
    with pytest.raises(UnsupportedMediaType):
        decode_body(b"{}", decoder, JSON | {b"content-encoding": b"gzip"})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"limit=0", "query.limit"),
        (b"limit=101", "query.limit"),
        (b"limit=ten", "query.limit"),
        (b"limit=1&limit=2", "query.limit"),
        (b"author=7", "query.author"),
        (b"autor=7", "query.autor"),
    ],
)
def test_a_bad_query_parameter_is_named(query: bytes, field: str) -> None:
    """A misspelt parameter is told, not ignored."""
    with pytest.raises(Invalid) as refusal:
        decode_query(query, Query)

    assert refusal.value.extra["errors"][0]["field"] == field  # type: ignore[index]


def test_a_query_is_read_into_its_types() -> None:
    """Texts become numbers and ids."""
    assert decode_query(b"limit=7", Query) == Query(limit=7)


async def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    """A declared length is believed; an undeclared one is counted while it comes."""
    chunks = iter([{"type": "http.request", "body": b"x" * 60, "more_body": True} for _ in range(1000)])

    async def receive() -> Any:
        return next(chunks)

    with pytest.raises(TooLarge) as declared:
        await read_body(receive, {b"content-length": b"101"}, 100)
    with pytest.raises(TooLarge) as counted:
        await read_body(receive, {}, 100)

    assert declared.value.extra == {"size": 101, "limit": 100}
    assert counted.value.extra["limit"] == 100
    assert len(list(chunks)) == 998


async def test_a_connection_that_closes_half_way_is_no_request() -> None:
    """Half a body is never taken for a whole one."""
    messages = iter([{"type": "http.request", "body": b'{"body":', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    with pytest.raises(ClientGone):
        await read_body(receive, {}, 100)


def test_entity_tags_compare_weakly() -> None:
    """RFC 9110, section 13.1.2."""
    tag = entity_tag(b"a")

    assert has_same(tag, tag)
    assert has_same(b'"x", ' + tag.removeprefix(b"W/"), tag)
    assert has_same(b"*", tag)
    assert not has_same(entity_tag(b"b"), tag)
