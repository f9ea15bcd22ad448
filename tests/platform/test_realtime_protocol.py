"""The frames of the client protocol: what is read, what is written, and what is refused."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.platform.realtime import codes
from tenfold.platform.realtime.codes import Disconnect, ErrorReply
from tenfold.platform.realtime.protocol import (
    Command,
    FrameError,
    Publication,
    Reply,
    decode_commands,
    decode_replies,
    encode,
    encode_data,
    encode_push,
    join_frames,
)


def test_a_frame_holds_several_commands_one_a_line() -> None:
    """Official clients send their subscriptions in one frame when they come back."""
    frame = '{"id":1,"connect":{"token":"t","name":"js"}}\n{"id":2,"subscribe":{"channel":"room:1","flag":1}}\n{}'

    commands = decode_commands(frame)

    assert [command.methods for command in commands] == [["connect"], ["subscribe"], []]
    assert [command.id for command in commands] == [1, 2, 0]
    assert commands[0].connect is not None
    assert commands[0].connect.token == "t"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\n",
        b"hello",
        b"null",
        b"[]",
        b"{",
        b'{"id":-1}',
        b'{"id":4294967296}',
        b'{"id":"1"}',
        b'{"id":1e400}',
        b'{"id":1,"connect":[]}',
        b'{"id":1,"connect":{"token":1}}',
        b'{"id":1,"subscribe":{"channel":"\xff"}}',
        b'{"id":1,"subscribe":{"channel":"\\ud800"}}',
        b'{"id":1,"subscribe":{"channel":"a","recover":true,"offset":-1}}',
        b'{"id":1,"subscribe":{"channel":"a","recover":true,"offset":18446744073709551616}}',
        b'{"id":1,"connect":{"subs":{"a":{"epoch":"' + b"e" * 256 + b'"}}}}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_a_frame_is_refused(frame: bytes) -> None:
    """Whatever arrives, there is one exception for it, so that the connection can be closed with a reason."""
    with pytest.raises(FrameError):
        decode_commands(frame)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_bytes_do_anything_but_parse_or_refuse(frame: bytes | str) -> None:
    """A client cannot make the server raise anything else."""
    try:
        commands = decode_commands(frame)
    except FrameError:
        return

    assert commands


def test_unknown_fields_are_skipped() -> None:
    """Newer clients say more than we know of."""
    command = decode_commands('{"id":1,"subscribe":{"channel":"a","tf":{"op":"eq"},"new":1},"newer":{}}')[0]

    assert command.methods == ["subscribe"]


def test_a_publication_is_written_as_clients_read_it() -> None:
    """The exact JSON of a push, with the application's data in it as it was given."""
    frame = encode_push("user:1", Publication(data=encode_data({"kind": "post", "n": 1}), offset=7))

    assert frame == b'{"push":{"channel":"user:1","pub":{"data":{"kind":"post","n":1},"offset":7}}}'
    assert encode(Reply()) == b"{}"


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_data_fits_on_one_line_and_comes_back(value: object) -> None:
    """A line end inside a message would cut the frame in two."""
    laid_out = msgspec.Raw(msgspec.json.format(msgspec.json.encode(value), indent=2))

    frame = join_frames([encode_push("a", Publication(data=encode_data(laid_out), offset=1)), b"{}"])

    replies = decode_replies(frame)
    assert len(replies) == 2
    assert replies[0].push is not None
    assert replies[0].push.pub is not None
    assert msgspec.json.decode(replies[0].push.pub.data) == value


def test_commands_can_be_written_too() -> None:
    """Load generators and gateways speak the protocol from the other side."""
    command = decode_commands('{"id":3,"history":{"channel":"a","limit":5,"since":{"offset":2,"epoch":"x"}}}')[0]

    assert decode_commands(encode(command)) == [command]
    assert encode(Command()) == b"{}"


def test_codes_are_unique_and_in_their_ranges() -> None:
    """The range of a disconnect code tells the client whether to come back."""
    values = list(vars(codes).values())
    errors = [value for value in values if isinstance(value, ErrorReply)]
    disconnects = [value for value in values if isinstance(value, Disconnect)]

    assert len({error.code for error in errors}) == len(errors)
    assert len({disconnect.code for disconnect in disconnects}) == len(disconnects)
    assert all(100 <= error.code < 400 for error in errors)
    assert {d.code for d in disconnects if d.is_final} == set(range(3500, 3510))
    assert all(len(disconnect.reason.encode()) <= 123 for disconnect in disconnects)
