"""Cursors come back as they went, and a forged one is refused by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.ids import new_id
from tenfold.kit.pages import cut, from_cursor, to_cursor
from tenfold.kit.refusals import Invalid


@given(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text()))
def test_a_cursor_comes_back_as_it_went(position: tuple[int, str]) -> None:
    """The client carries our position without understanding it."""
    assert from_cursor(to_cursor(position), tuple[int, str]) == position


@given(st.text(max_size=100))
def test_a_text_that_is_no_cursor_is_refused_by_name(text: str) -> None:
    """Whatever the client sends, the answer is a value of the right shape, or a 400 that names the field."""
    found: Any = None
    try:
        found = from_cursor(text, tuple[int, str])
    except Invalid as refusal:
        found = refusal.extra["errors"]

    assert isinstance(found, tuple) or found[0]["field"] == "query.cursor"


def test_ids_travel_in_cursors() -> None:
    """Most lists are ordered by id."""
    id_ = new_id()

    assert from_cursor(to_cursor(id_), type(id_)) == id_


@pytest.mark.parametrize(("rows", "more"), [(0, False), (2, False), (3, False), (4, True)])
def test_a_page_knows_whether_more_follow(rows: int, more: bool) -> None:
    """The query asks for one more than it shows, instead of counting."""
    page = cut(list(range(rows)), 3, lambda row: row)

    assert page.items == list(range(min(rows, 3)))
    assert (page.next is not None) is more
