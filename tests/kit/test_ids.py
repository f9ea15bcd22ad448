"""Ids rise, carry their time, and are UUIDv7."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.ids import first_id_at, minting_at, new_hex, new_id, time_of


def test_ids_rise_in_the_order_they_are_minted() -> None:
    """A list that is ordered by id is ordered by time, also within one millisecond."""
    ids = [new_id() for _ in range(20_000)]

    assert ids == sorted(set(ids))
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, "specified in RFC 4122")}


def test_a_name_is_an_id_in_32_digits() -> None:
    """It rises with the ids, and carries its time as they do."""
    before, name, after = new_id(), new_hex(), new_id()

    assert (len(name), UUID(name).hex) == (32, name)
    assert before < UUID(name) < after


def test_threads_never_mint_the_same_id() -> None:
    """Password workers and the event loop share the mint."""
    minted: list[UUID] = []
    threads = [Thread(target=lambda: minted.extend(new_id() for _ in range(2_000))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(minted)) == 8_000


def test_an_id_carries_the_time_of_its_minting() -> None:
    """No created_at needs to be read to know when something was."""
    before = datetime.now(UTC)

    minted = time_of(new_id())

    assert before - timedelta(milliseconds=2) <= minted <= datetime.now(UTC) + timedelta(milliseconds=50)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda instant: 2000 <= instant.year < 2100))
def test_the_first_id_of_an_instant_bounds_it(instant: datetime) -> None:
    """Ranges of time become ranges of ids."""
    bound = first_id_at(instant)

    assert instant - timedelta(milliseconds=1) < time_of(bound) <= instant
    assert bound.version == 7


def test_a_past_can_be_told_with_ids_of_its_time() -> None:
    """A sample's posts lie months back, and lists are ordered by their ids."""
    instant = datetime(2024, 2, 29, 12, tzinfo=UTC)

    with minting_at(instant):
        minted = {new_id() for _ in range(1_000)}

    assert len(minted) == 1_000
    assert {time_of(id_) for id_ in minted} == {instant}
    assert time_of(new_id()) > instant
