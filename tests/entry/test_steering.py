"""Who connects to a port that many processes share is led to the emptiest of them, by the kernel."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.entry import steering
from tenfold.entry.gateway import share_port
from tenfold.entry.steering import Load, Steering, emptiest

Ports = list[list[socket.socket]]
LOADS = st.lists(
    st.none() | st.builds(Load, st.integers(0, 9000), st.integers(0, 30_000), st.integers(0, 8)), max_size=12
)


@pytest.fixture
def ports() -> Iterator[Ports]:
    """The sockets of five processes that share a port, and accept nobody."""
    ports = share_port("127.0.0.1", 0, 5)
    yield ports
    for listener in chain.from_iterable(ports):
        listener.close()


def come(ports: Ports, count: int) -> list[int]:
    """So many connect: how many of them wait for each process, all in all."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(ports[0][0].getsockname()))
        return [sum(map(steering._waiting, listeners)) for listeners in ports]


def sought(ports: Ports, count: int) -> list[int]:
    """So many connect, and are accepted: to which processes they came."""
    found = [index for index, waiting in enumerate(come(ports, count)) if waiting]
    for listeners in ports:
        taken(listeners)
    return found


def taken(listeners: list[socket.socket]) -> int:
    """Accept whoever waits for a process: how many that were."""
    found = 0
    for listener in listeners:
        with suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                found += 1
    return found


@given(LOADS, st.integers(1, 6))
def test_the_emptiest_come_first(loads: list[Load | None], count: int) -> None:
    """Who is left out is away or carries no less; and while there is room, is barred or far above the least."""
    chosen = emptiest(loads, count)
    there = {index: load for index, load in enumerate(loads) if load is not None}
    led_to = [there[index] for index in chosen]
    left_out = [load for index, load in there.items() if index not in chosen]

    assert chosen == sorted(set(chosen))
    assert bool(chosen) is bool(there)
    assert len(chosen) <= count
    for load in left_out:
        assert all((load.is_barred, load.total) >= (other.is_barred, other.total) for other in led_to)
    if led_to:
        least = min(load.total for load in led_to)
        assert all(load.total <= least + steering._FAR for load in led_to)
        assert not any(load.is_barred for load in led_to) or all(load.is_barred for load in there.values())
        if len(chosen) < count:
            assert all(load.is_barred > led_to[0].is_barred or load.total > least + steering._FAR for load in left_out)


def test_nobody_comes_to_any_but_the_emptiest(ports: Ports) -> None:
    """And to each of those, at all of its sockets."""
    steered = Steering(ports, cores=2)
    for index, held in enumerate((7, 3, 9, 1, 8)):
        steered.seat(index)[0] = held

    steered.steer()
    assert [index for index, waiting in enumerate(come(ports, 200)) if waiting] == [1, 3]
    assert all(steering._waiting(listener) for index in (1, 3) for listener in ports[index])
    assert taken(ports[1]) + taken(ports[3]) == 200

    steered.seat(3)[0], steered.seat(4)[0] = 10, 0
    steered.steer()
    assert sought(ports, 60) == [1, 4]


def test_one_that_is_far_emptier_is_led_to_alone(ports: Ports) -> None:
    """It has just been started again, and the others' people are not to wait behind those whom it lost."""
    steered = Steering(ports, cores=2)
    for index, held in enumerate((9000, 9001, 6000, 9002, 9003)):
        steered.seat(index)[0] = held

    steered.steer()
    assert sought(ports, 40) == [2]
    steered.seat(2)[0] = 7500
    steered.steer()
    assert sought(ports, 40) == [0, 2]


def test_who_waits_counts_too(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes nobody in, though it has few, is not sought out for ever."""
    monkeypatch.setattr(steering, "_CROWD", 20)
    steered = Steering(ports, cores=1)
    for index in range(5):
        steered.seat(index)[0] = 10 * index

    steered.steer()
    assert come(ports, 15) == [15, 0, 0, 0, 0]
    steered.steer()
    assert come(ports, 15) == [15, 15, 0, 0, 0], "that is 15 now, which is more than 10"
    steered.seat(1)[0] = 1000
    steered.steer()
    assert come(ports, 15) == [30, 15, 0, 0, 0]
    steered.steer()
    assert come(ports, 15) == [30, 15, 15, 0, 0], "30 wait, a crowd"


def test_the_end_of_another_does_not_make_one_stall(ports: Ports) -> None:
    """What counts is for how long nobody was taken in, not how often somebody looked."""
    steered = Steering(ports, cores=1)
    for index in range(5):
        steered.seat(index)[0] = 100 * index
    for _ in range(2):
        steered.steer()
    assert come(ports, 10) == [10, 0, 0, 0, 0]
    for _ in range(steering._PATIENCE):
        steered.left(4, returns=False)
    assert come(ports, 10) == [20, 0, 0, 0, 0]


def test_one_that_takes_nobody_in_is_left_out(ports: Ports) -> None:
    """As long as it stalls: it may be stuck. While it has nobody to take in, it does not stall."""
    steered = Steering(ports, cores=1)
    for index in range(5):
        steered.seat(index)[0] = 100 * index
    for _ in range(9):
        steered.steer()
    assert come(ports, 10) == [10, 0, 0, 0, 0]
    for _ in range(steering._PATIENCE):
        steered.steer()
    assert come(ports, 10) == [10, 10, 0, 0, 0]

    steered.seat(0)[0] = taken(ports[0])
    steered.steer()
    assert come(ports, 10) == [10, 10, 0, 0, 0]


def test_who_connects_waits_for_a_process_that_returns(ports: Ports) -> None:
    """But not for one that does not, or only later; before all have begun, anybody will do."""
    steered = Steering(ports, cores=2)
    steered.steer()
    assert len(sought(ports, 40)) > 2, "the kernel spreads them"
    for index in range(5):
        steered.seat(index)[0] = index

    steered.steer()
    steered.left(0, returns=False)
    assert sought(ports, 40) == [1, 2]
    steered.left(4, returns=True)
    assert sought(ports, 40) == [1, 4]
    steered.seat(0)[0] = 0
    steered.steer()
    assert sought(ports, 40) == [0, 4]


def test_a_kernel_that_will_not_leaves_everything_as_it_was(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, and the kernel spreads as before."""
    monkeypatch.setattr(steering, "_ATTACH_FILTER", 9999)
    steered = Steering(ports, cores=1)
    steered.seat(2)[0] = 0
    steered.steer()

    assert not steered.is_wanted
    assert sum(waiting > 0 for waiting in come(ports, 60)) > 1


def test_as_many_processes_as_cores_are_not_steered(ports: Ports) -> None:
    """All of them are warm."""
    assert not Steering(ports, cores=5).is_wanted
    assert Steering(ports, cores=4).is_wanted
