"""What can be a reaction: an emoji as Unicode composes it, or a short code such as `:party_parrot:`. Pure functions."""

import re
import unicodedata

from tenfold.kit.refusals import Invalid

LONGEST = 32
_SHORT_CODE = re.compile(r":[a-z0-9_+-]{1,30}:")
# Variation selectors, the joiner, keycap bases and the tag characters of flags: parts of an emoji that are none alone.
_GLUE = frozenset("\ufe0e\ufe0f\u200d#*0123456789") | {chr(code) for code in range(0xE0020, 0xE0080)}
_PICTURES = ("So", "Sk", "Sm", "Me")


def tidy_emoji(text: str) -> str:
    """A reaction as it is kept (NFC). Raises `Invalid` for what is neither an emoji nor a short code."""
    emoji = unicodedata.normalize("NFC", text)
    if not _SHORT_CODE.fullmatch(emoji) and not _is_emoji(emoji):
        raise Invalid("path.emoji", "must be one emoji, or a short code such as `:wave:`")
    return emoji


def _is_emoji(text: str) -> bool:
    """Pictures and their glue, and no letter among them; which sequences have a glyph is up to the fonts."""
    kinds = [unicodedata.category(character) for character in text if character not in _GLUE]
    return 0 < len(text) <= LONGEST and bool(kinds) and all(kind in _PICTURES for kind in kinds)
