"""Handles: one form of each (NFKC, lower case), one script, and none that looks like another one."""

import functools
import unicodedata
from collections.abc import Iterable

from confusable_homoglyphs import categories, confusables

from tenfold.kit.refusals import Invalid
from tenfold.modules.identity.errors import HandleIsReserved

SHORTEST = 3
LONGEST = 30
_MARKS_OF_DIRECTION = {ord(mark): None for mark in "\u200e\u200f"}
_SHARED = {"COMMON", "INHERITED"}
# Written together every day, and told apart by every reader of these languages (UTS 39, "Highly Restrictive").
_TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
)


def read_handle(field: str, text: str) -> str:
    """The handle that a text means. Raises `Invalid` naming the field when it cannot be one."""
    handle = handle_of(text)
    problem = _problem_of(handle)
    if problem is not None:
        raise Invalid(field, problem)
    return handle


def handle_of(text: str) -> str:
    """The one form of a handle: compatibility forms and case folded, a leading `@` left out."""
    folded = unicodedata.normalize("NFKC", text.strip()).removeprefix("@")
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded.casefold())
    return folded


def handle_or_none(text: str) -> str | None:
    """The handle that a text means; None for one that nobody can have."""
    handle = handle_of(text[: 2 * LONGEST])
    return handle if _problem_of(handle) is None else None


def must_be_free_to_choose(handle: str, reserved: Iterable[str]) -> None:
    """Raise `HandleIsReserved` for a reserved handle, or one that looks like it."""
    if skeleton(handle) in _skeletons(frozenset(reserved)):
        raise HandleIsReserved(f"`{handle}` cannot be chosen.")


def skeleton(handle: str) -> str:
    """What a handle looks like: handles with the same skeleton cannot be told apart by eye (after UTS 39, section 4).

    `0` and `o`, `1` and `l`, `rn` and `m`, Latin `a` and Cyrillic `а` are the same. Underscores and dots count.
    """
    decomposed = unicodedata.normalize("NFD", handle)
    replaced = "".join(_prototype(letter) for letter in decomposed)
    return unicodedata.normalize("NFD", replaced)


def _problem_of(handle: str) -> str | None:
    if not SHORTEST <= len(handle) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters"
    for letter in handle:
        if not (letter in "_." or letter in "0123456789" or unicodedata.category(letter)[0] in "LM"):
            return "may hold letters, digits, `_` and `.` only"
    if handle[0] in "._" or handle[-1] == "." or ".." in handle or unicodedata.category(handle[0])[0] == "M":
        return "must begin with a letter or digit, and its dots must stand between others"
    if not any(unicodedata.category(letter)[0] == "L" for letter in handle):
        return "must hold a letter"
    scripts = categories.unique_aliases(handle) - _SHARED
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return "mixes letters of different scripts"
    if "LATIN" not in scripts and all(_looks_latin(letter) for letter in handle):
        return "looks like Latin letters, but is not"
    return None


def _looks_latin(letter: str) -> bool:
    return _prototype(letter).isascii()


@functools.lru_cache(maxsize=8)
def _skeletons(handles: frozenset[str]) -> frozenset[str]:
    return frozenset(skeleton(handle_of(handle)) for handle in handles)


@functools.lru_cache(maxsize=4096)
def _prototype(letter: str) -> str:
    """What stands for all letters that look like this one: the most ordinary, or the letters it looks made of."""
    alike, new = {letter}, {letter}
    while new:
        new = {other for one in new for other in _alike(one)} - alike
        alike |= new
    made_of = sorted(one for one in alike if len(one) > 1 and one.isascii() and one.isalpha())
    if made_of:
        return "".join(_prototype(part) for part in made_of[0].lower())
    return min((one for one in alike if len(one) == 1), key=_ordinariness).lower()


def _alike(letters: str) -> list[str]:
    return [found["c"].translate(_MARKS_OF_DIRECTION) for found in confusables.confusables_data.get(letters, ())]


def _ordinariness(letter: str) -> tuple[int, str]:
    if not letter.isascii():
        return 4, letter
    return 0 if letter.islower() else 1 if letter.isupper() else 2 if letter.isdigit() else 3, letter
