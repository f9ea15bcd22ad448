"""Who connects to a port that many processes share is led to the emptiest of them, by the kernel."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.entry import steering
from tenfold.entry.gateway import share_port
from tenfold.entry.steering import Load, Steering, emptiest

LOADS = st.lists(st.none() | st.builds(Load, st.integers(0, 50), st.integers(0, 2000)), max_size=12)


@pytest.fixture
def port() -> Iterator[list[socket.socket]]:
    """Five sockets that share a port, and accept nobody."""
    listeners = share_port("127.0.0.1", 0, 5)
    yield listeners
    for listener in listeners:
        listener.close()


def come(port: list[socket.socket], count: int) -> list[int]:
    """So many connect: how many of them wait at each socket, all in all."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(port[0].getsockname()))
        return [steering._waiting(listener) for listener in port]


def taken(listener: socket.socket) -> int:
    """Accept whoever waits: how many that were."""
    for number in range(1000):
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return number
    raise AssertionError("there is no end to them")


@given(LOADS, st.integers(1, 6))
def test_the_emptiest_come_first(loads: list[Load | None], count: int) -> None:
    """Nobody who is left out has less to carry, and who lets a crowd wait is left out while there are others."""
    chosen = emptiest(loads, count)
    there = [place for place, load in enumerate(loads) if load is not None]

    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, len(there))
    for place in set(there) - set(chosen):
        for other in chosen:
            left_out, led_to = loads[place], loads[other]
            assert left_out is not None
            assert led_to is not None
            more = sum(left_out) >= sum(led_to)
            assert left_out.is_crowded if left_out.is_crowded != led_to.is_crowded else more


def test_nobody_comes_to_any_but_the_emptiest(port: list[socket.socket]) -> None:
    """And to each of those."""
    steered = Steering(port, cores=2)
    for place, held in enumerate((7, 3, 9, 1, 8)):
        steered.seat(place)[0] = held

    steered.steer()
    assert [place for place, waiting in enumerate(come(port, 60)) if waiting] == [1, 3]
    assert taken(port[1]) + taken(port[3]) == 60

    steered.seat(3)[0], steered.seat(4)[0] = 10, 0
    steered.steer()
    assert [place for place, waiting in enumerate(come(port, 60)) if waiting] == [1, 4]


def test_who_waits_counts_too(port: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes nobody in, though it has few, is not sought out for ever."""
    monkeypatch.setattr(steering, "_CROWD", 20)
    steered = Steering(port, cores=1)
    for place in range(5):
        steered.seat(place)[0] = 10 * place

    steered.steer()
    assert come(port, 15) == [15, 0, 0, 0, 0]
    steered.steer()
    assert come(port, 15) == [15, 15, 0, 0, 0], "that is 15 now, which is more than 10"
    steered.seat(1)[0] = 1000
    steered.steer()
    assert come(port, 15) == [30, 15, 0, 0, 0]
    steered.steer()
    assert come(port, 15) == [30, 15, 15, 0, 0], "30 wait, a crowd"


def test_nobody_is_led_to_a_process_that_is_away(port: list[socket.socket]) -> None:
    """It would have to wait until that is back; before all have begun, anybody will do."""
    steered = Steering(port, cores=2)
    steered.steer()
    assert sum(come(port, 20)) == 20, "the kernel spreads them"
    for listener in port:
        taken(listener)
    for place in range(5):
        steered.seat(place)[0] = place

    steered.steer()
    steered.left(0)
    assert [place for place, waiting in enumerate(come(port, 40)) if waiting] == [1, 2]
    for listener in port:
        taken(listener)
    steered.seat(0)[0] = 0
    steered.steer()
    assert [place for place, waiting in enumerate(come(port, 40)) if waiting] == [0, 1]


def test_a_kernel_that_will_not_leaves_everything_as_it_was(
    port: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, and the kernel spreads as before."""
    monkeypatch.setattr(steering, "_ATTACH_FILTER", 9999)
    steered = Steering(port, cores=1)
    steered.seat(2)[0] = 0
    steered.steer()

    assert not steered.is_wanted
    assert sum(waiting > 0 for waiting in come(port, 60)) > 1


def test_as_many_processes_as_cores_are_not_steered(port: list[socket.socket]) -> None:
    """All of them are warm."""
    assert not Steering(port, cores=5).is_wanted
    assert Steering(port, cores=4).is_wanted
