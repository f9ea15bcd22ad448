"""Limits of realtime that are not one connection's: what an address, a page, a user may do in one process."""

import pytest

from tenfold.platform.limits.address import networks
from tenfold.platform.realtime.admission import (
    FOREIGN_PAGE,
    TOO_MANY_HANDSHAKES,
    TOO_MANY_SOCKETS,
    UNKNOWN_PROTOCOL,
    Admission,
    AdmissionRules,
    Pace,
)
from tenfold.platform.realtime.codes import CONNECTION_LIMIT, TOO_MANY_COMMANDS
from tenfold.platform.realtime.lobby import SessionRules
from tests.platform.realtime_world import RealtimeWorld, Stopwatch, connected, person, say


async def test_a_user_may_hold_so_many_connections() -> None:
    """The next is closed for good, the others stay; who leaves makes room. Another user is not concerned."""
    world = RealtimeWorld(rules=SessionRules(sockets_per_user=2))
    ana, bob = person(), person()
    first, _, _ = await connected(world, ana)
    second, _, _ = await connected(world, ana)
    third, wire = world.session()

    await say(third, f'{{"id":1,"connect":{{"token":"{world.token(ana)}"}}}}')

    assert (wire.closed, first.is_over, second.is_over) == (CONNECTION_LIMIT, False, False)
    assert wire.frames == []
    await connected(world, bob)
    first.lost()
    await connected(world, ana)


async def test_a_user_commands_only_so_fast_over_all_connections() -> None:
    """More connections do not buy more commands."""
    watch = Stopwatch()
    world = RealtimeWorld(rules=SessionRules(user_commands_per_second=1, user_command_burst=4), monotonic=watch)
    ana = person()
    sessions = [await connected(world, ana) for _ in range(2)]

    for _ in range(3):
        for session, _, _ in sessions:
            await say(session, '{"id":7,"ping":{}}')
    replies = [reply for _, wire, _ in sessions for reply in wire.take()]

    assert [reply.error for reply in replies].count(TOO_MANY_COMMANDS) == 2
    watch.seconds += 1
    await say(sessions[0][0], '{"id":8,"ping":{}}')
    assert sessions[0][1].take()[0].error is None
    assert not sessions[0][0].is_over


def test_a_pace_forgets_whoever_rests() -> None:
    """A million users who commanded once are not remembered."""
    pace = Pace(1, 2)
    ana = person().id
    assert [pace.allows(ana, 0), pace.allows(ana, 0), pace.allows(ana, 0)] == [True, True, False]

    pace.sweep(1)
    assert pace._debts
    pace.sweep(2)

    assert not pace._debts


def test_connections_of_an_address_are_counted_until_they_leave() -> None:
    """An IPv6 household is one address; this machine itself is nobody's."""
    admission = Admission(AdmissionRules(sockets_per_address=1))

    assert admission.enter("192.0.2.7", 0) is None
    assert admission.enter("::ffff:192.0.2.7", 0) == TOO_MANY_SOCKETS
    assert admission.enter("2001:db8::1", 0) is None
    assert admission.enter("2001:db8::2", 0) == TOO_MANY_SOCKETS
    assert [admission.enter(own, 0) for own in ("127.0.0.1", "127.3.2.1", "::1") * 2] == [None] * 6
    admission.leave("192.0.2.7")
    admission.leave("127.0.0.1")
    assert admission.enter("192.0.2.7", 0) is None
    admission.leave("192.0.2.7")
    admission.leave("2001:db8::1")

    assert admission.held == {}


def test_handshakes_of_an_address_are_counted_by_the_window() -> None:
    """Whether or not they became connections; the next window begins anew."""
    admission = Admission(AdmissionRules(handshakes_per_address=2, handshake_window=60))

    assert [admission.enter("192.0.2.7", now) for now in (0, 1, 2)] == [None, None, TOO_MANY_HANDSHAKES]
    assert admission.enter("192.0.2.8", 3) is None
    assert admission.enter("192.0.2.7", 60) is None


@pytest.mark.parametrize(
    ("origin", "subprotocols", "denial"),
    [
        (None, [], None),
        ("https://app.example", ["centrifuge-json"], None),
        ("https://HOST.example:8000", [], FOREIGN_PAGE),
        ("https://host.example:8000", [], None),
        ("https://evil.example", [], FOREIGN_PAGE),
        ("http://[", [], FOREIGN_PAGE),
        (None, ["centrifuge-protobuf"], UNKNOWN_PROTOCOL),
    ],
)
def test_pages_and_protocols_are_told_apart(origin: str | None, subprotocols: list[str], denial: object) -> None:
    """Browsers write the host of an origin in lower case; whoever does not is no browser's own page."""
    admission = Admission(AdmissionRules(allowed_origins=["https://app.example"]))

    assert admission.refuses(origin=origin, host="Host.example:8000", subprotocols=subprotocols) == denial


def test_only_trusted_proxies_say_who_connects() -> None:
    """Else anybody could have a new address for each connection."""
    admission = Admission(AdmissionRules(trusted_proxies=networks(["10.0.0.0/8"])))

    assert admission.address_of("10.1.1.1", "192.0.2.7, 198.51.100.1") == "198.51.100.1"
    assert admission.address_of("203.0.113.5", "192.0.2.7") == "203.0.113.5"
