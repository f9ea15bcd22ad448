"""Texts and languages as they are kept, for whatever may be sent."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.kit.refusals import Invalid
from tenfold.modules.feed import rules


def tidied(body: str) -> str | None:
    """The body as it is kept, or None when it is refused."""
    try:
        return rules.tidy_body(body)
    except Invalid:
        return None


@given(st.text(max_size=40))
def test_a_body_is_refused_or_kept_in_one_form(body: str) -> None:
    """Tidying twice changes nothing, and what is kept can be seen, composed and stored."""
    tidy = tidied(body)
    if tidy is None:
        return

    assert rules.tidy_body(tidy) == tidy
    assert unicodedata.is_normalized("NFC", tidy)
    assert tidy == tidy.strip() != ""
    assert "\x00" not in tidy
    tidy.encode()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("EN", "en"), ("pt-br", "pt-BR"), ("ZH-hant-tw", "zh-Hant-TW"), ("de-1996", "de-1996"), (None, None)],
)
def test_a_language_is_kept_in_its_usual_case(sent: str | None, kept: str | None) -> None:
    """So that the same language is the same text."""
    assert rules.tidy_lang(sent) == kept


@pytest.mark.parametrize("sent", ["e", "english!", "en_US", "-en", "en-", "en--us", "123", "é-FR"])
def test_what_is_no_language_tag_is_refused(sent: str) -> None:
    """The shape of BCP 47 is asked for, not its registry."""
    with pytest.raises(Invalid):
        rules.tidy_lang(sent)
