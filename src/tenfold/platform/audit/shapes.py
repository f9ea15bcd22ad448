"""The values of the audit log: its lines, the chain's head, and what a check of it found."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

Problem = Literal["changed", "missing", "cut off", "forged", "not the witness"]


class Line(msgspec.Struct, frozen=True):
    """One deed. Its place in the chain (`number`, from 1 without gaps, and `hash`) is given when it is sealed."""

    id: UUID
    at: datetime
    deed: str
    actor_id: UUID | None
    subject_id: UUID | None
    address: str | None
    details: dict[str, Any]
    number: int | None
    hash: bytes | None


class Head(msgspec.Struct, frozen=True):
    """The end of the chain: the last line's number and hash. An empty chain has number 0 and 32 zero bytes."""

    number: int
    hash: bytes


class Seal(msgspec.Struct, frozen=True):
    """The place in the chain that a line is given."""

    id: UUID
    number: int
    hash: bytes


class Broken(msgspec.Struct, frozen=True):
    """The first place at which the chain does not hold.

    `changed`: this line is not what was sealed, or the one before it was changed together with its hash. `missing`: it
    was removed. `cut off`: it and all after it were removed. `forged`: it was added behind the sealing's back.
    `not the witness`: the chain holds, but it is another one than the witness saw.
    """

    number: int
    problem: Problem
    line_id: UUID | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What a check found: how many lines hold, how many wait to be sealed, the head, and where it first breaks."""

    lines: int
    unsealed: int
    head: Head
    broken: Broken | None
