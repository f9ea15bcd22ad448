"""Texts that people write about themselves: one Unicode form, nothing invisible that reorders or hides text."""

import re
import unicodedata

from tenfold.kit.refusals import Invalid

# Joiners belong to many scripts and to emoji; other format characters reorder or hide text.
_JOINERS = "\u200c\u200d"
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_REFUSED = {"Cc": "a control character", "Cs": "half of a surrogate pair", "Cn": "an unassigned character"}


def read_line(field: str, text: str) -> str:
    """One line: composed (NFC), trimmed, inner blanks made single. Raises `Invalid` naming the field."""
    _must_be_plain(field, text)
    line = " ".join(unicodedata.normalize("NFC", text).split())
    if not line:
        raise Invalid(field, "must not be blank")
    return line


def read_lines(field: str, text: str) -> str:
    """Several lines, composed and trimmed; may be empty. Raises `Invalid` naming the field."""
    _must_be_plain(field, text, allowed="\n")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()


def read_picture(field: str, address: str) -> str:
    """The address of a picture. Raises `Invalid` unless it is an https address without blanks or quotes."""
    _must_be_plain(field, address)
    if not address.startswith("https://") or len(address) < 12 or any(letter in " \"'<>\\`" for letter in address):
        raise Invalid(field, "must be an https address")
    return address


def shortened(text: str, length: int) -> str:
    """What a client says of itself, cut to a length, with everything unprintable left out."""
    return "".join(letter for letter in text if letter.isprintable())[:length]


def without_addresses(text: str) -> str:
    """A text for the audit log, which outlives the people in it: e-mail addresses are left out."""
    return _ADDRESS.sub("(address)", text)


def _must_be_plain(field: str, text: str, *, allowed: str = "") -> None:
    for letter in text.replace("\r\n", "\n"):
        category = unicodedata.category(letter)
        if letter in allowed:
            continue
        if category in _REFUSED:
            raise Invalid(field, f"contains {_REFUSED[category]} (U+{ord(letter):04X})")
        if (category == "Cf" and letter not in _JOINERS) or category in ("Zl", "Zp"):
            raise Invalid(field, f"contains an invisible character (U+{ord(letter):04X})")
