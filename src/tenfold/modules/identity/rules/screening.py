"""Which passwords are too easy to guess: short, personal, or made of little more than what guessers try first.

A password is split into the pieces that make it cheapest to guess (known words and passwords, runs of a keyboard or an
alphabet, years, digits, single characters), and the guesses that those pieces take are added up, in bits. The idea is
zxcvbn's (Wheeler, USENIX Security 2016); the list in `known_passwords.txt` is ours. Nothing leaves the process.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tenfold.modules.identity.errors import WeakPassword
from tenfold.modules.identity.passwords import normalised

SHORTEST = 8
LONGEST = 128
ENOUGH_BITS = 30
_WORD_BITS = 11.0  # one of the 2,400 of the list
_DISGUISED_BITS = 13.0
_RUN_BITS = 7.0
_YEAR_BITS = 6.5
_BITS = {"digit": 3.3, "letter": 4.7, "other": 5.0}
_LONGEST_WORD = 32
_DISGUISES = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i", "€": "e"}
)
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiopü",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
    "!@#$%^&*()",
    '!"§$%&/()=',
)
_YEAR = re.compile(r"(?:19|20)\d\d")


def must_be_hard_to_guess(password: str, about: Iterable[str], *, field: str = "body.password") -> None:
    """Raise `WeakPassword`, naming the field. `about` is what others know of the owner: address, handle, name."""
    problem = weakness(password, about)
    if problem is not None:
        raise WeakPassword(problem, field=field)


def weakness(password: str, about: Iterable[str] = ()) -> str | None:
    """What is wrong with a password, or None."""
    text = normalised(password)
    if len(text) < SHORTEST:
        return f"must have at least {SHORTEST} characters"
    if len(text) > LONGEST:
        return f"must have at most {LONGEST} characters"
    folded = text.casefold()
    if any(_gives_away(folded, word) for word in _words_of(about)):
        return "must not hold your e-mail address, handle or name"
    if not _takes_long(folded):
        return "is among the first that others would try"
    return None


def _takes_long(folded: str) -> bool:
    # A beginning never takes more guesses than the whole, so a long password is seldom read to its end.
    whole = _repeated(folded) or folded
    return guessing_bits(whole[:24]) >= ENOUGH_BITS or guessing_bits(folded) >= ENOUGH_BITS


def guessing_bits(folded: str) -> float:
    """About how many bits of guessing a password takes; `folded` is in lower case."""
    block = _repeated(folded)
    if block is not None:
        return guessing_bits(block) + 3
    best = [0.0]
    for end in range(1, len(folded) + 1):
        best.append(min(best[start] + bits for start, bits in _pieces(folded, end)))
    return best[-1]


def _pieces(folded: str, end: int) -> Iterator[tuple[int, float]]:
    """Every piece of the text that ends at `end`: where it starts, and how many bits it takes."""
    letter = folded[end - 1]
    yield end - 1, _BITS["digit" if letter.isdigit() else "letter" if letter.isalpha() else "other"]
    for start in range(max(0, end - _LONGEST_WORD), end - 2):
        piece = folded[start:end]
        if piece in _known():
            yield start, _WORD_BITS
        elif piece.translate(_DISGUISES) in _known():
            yield start, _DISGUISED_BITS
        elif _is_run(piece):
            yield start, _RUN_BITS
        elif len(piece) == 4 and _YEAR.fullmatch(piece):
            yield start, _YEAR_BITS


def _is_run(piece: str) -> bool:
    return len(set(piece)) == 1 or any(piece in row or piece in row[::-1] for row in _ROWS)


def _repeated(folded: str) -> str | None:
    """The block that a text repeats from start to end, if it does."""
    length = (folded + folded).find(folded, 1)
    return folded[:length] if length < len(folded) else None


def _gives_away(folded: str, word: str) -> bool:
    """Whether the word is in it, and either long or nearly all there is."""
    return word in folded and (len(word) >= 4 or len(folded) - len(word) < 6)


def _words_of(about: Iterable[str]) -> Iterator[str]:
    for text in about:
        folded = normalised(text).casefold()
        for word in {folded, *re.split(r"[\W_]+", folded.partition("@")[0]), folded.partition("@")[0]}:
            if len(word) >= 3:
                yield word


@functools.cache
def _known() -> frozenset[str]:
    return frozenset((Path(__file__).parent / "known_passwords.txt").read_text(encoding="utf-8").split())
