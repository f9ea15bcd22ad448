"""The chain: pure hashing of lines, each over the one before. What is hashed, and how, must never change."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from tenfold.platform.audit.shapes import Head, Line, Seal

_encoder = msgspec.json.Encoder(order="deterministic")


def seal_of(line: Line, number: int, previous: bytes) -> bytes:
    """The hash of a line at a place: SHA-256 over the hash before it and the line's canonical form.

    The canonical form is a JSON array without blanks, keys of objects sorted: number, id, at (RFC 3339, UTC,
    microseconds when there are any), deed, actor, subject, address, details.
    """
    fields = [number, line.id, line.at, line.deed, line.actor_id, line.subject_id, line.address, line.details]
    return sha256(previous + _encoder.encode(fields)).digest()


def seal_all(lines: Iterable[Line], head: Head) -> tuple[list[Seal], Head]:
    """The places of lines that follow a head, in order, and the new head."""
    seals: list[Seal] = []
    number, previous = head.number, head.hash
    for line in lines:
        number += 1
        previous = seal_of(line, number, previous)
        seals.append(Seal(line.id, number, previous))
    return seals, Head(number, previous)
