"""The rules of identity as properties: handles, addresses, texts and passwords, whatever Unicode is thrown at them."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp.totp import TOTP

from tenfold.kit.refusals import Invalid
from tenfold.modules.identity.errors import HandleIsReserved
from tenfold.modules.identity.rules import totp
from tenfold.modules.identity.rules.emails import email_key, key_of_text, read_email
from tenfold.modules.identity.rules.handles import handle_of, must_be_free_to_choose, read_handle, skeleton
from tenfold.modules.identity.rules.reserved import RESERVED_HANDLES
from tenfold.modules.identity.rules.screening import guessing_bits, weakness
from tenfold.modules.identity.rules.texts import read_line

ANY_TEXT = st.text(st.characters(), max_size=40)
HANDLES = st.from_regex(r"[a-z][a-z0-9_]{2,29}", fullmatch=True)


@given(ANY_TEXT)
def test_any_text_is_a_handle_in_its_one_form_or_is_refused(text: str) -> None:
    """Reading what was read changes nothing, and nothing but `Invalid` is ever raised."""
    try:
        handle = read_handle("body.handle", text)
    except Invalid:
        return

    assert read_handle("body.handle", handle) == handle == handle_of(handle)
    assert unicodedata.is_normalized("NFKC", handle)
    assert handle == handle.casefold()
    assert 3 <= len(handle) <= 30


@given(HANDLES)
def test_case_width_and_at_do_not_make_another_handle(handle: str) -> None:
    """What a keyboard adds is not part of the name."""
    wide = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in handle)

    assert handle_of(handle.upper()) == handle_of(f"@{handle}") == handle_of(f" {wide} ") == handle


@given(HANDLES)
def test_what_looks_the_same_has_the_same_skeleton(handle: str) -> None:
    """Each pair is one that people mistake for the other."""
    for letter, other in (("o", "0"), ("l", "1"), ("m", "rn"), ("a", "а"), ("e", "е"), ("p", "р"), ("c", "с")):
        assert skeleton(handle.replace(letter, other)) == skeleton(handle)


@given(HANDLES, HANDLES)
def test_skeletons_of_plain_letters_tell_plain_letters_apart(one: str, other: str) -> None:
    """Only digits and `m` are taken for something else among the ASCII letters."""
    plain = str.maketrans({"0": "o", "1": "l", "m": "rn"})

    assert (skeleton(one) == skeleton(other)) == (one.translate(plain) == other.translate(plain))


@pytest.mark.parametrize(
    "text", ["раураl", "pаypal", "аррӏе", "a..b", ".ab", "ab.", "_ab", "12345", "a b", "a\u200db", "é̷"]
)
def test_handles_that_deceive_or_do_not_read_are_refused(text: str) -> None:
    """Mixed scripts, letters of another script that pass for Latin ones, and shapes that break a sentence."""
    with pytest.raises(Invalid):
        read_handle("body.handle", text)


@pytest.mark.parametrize("text", ["иван", "田中さん", "müller", "josé_99", "김철수가", "μαρια2", "ana.lopez"])
def test_handles_of_the_world_are_taken(text: str) -> None:
    """One script each, or scripts that are written together."""
    assert read_handle("body.handle", text)


@pytest.mark.parametrize("text", ["admin", "4dmin", "adrnin", "supp0rt", "rnoderator"])
def test_reserved_handles_and_their_look_alikes(text: str) -> None:
    """Nobody speaks for the service. (`4` is not mistaken for `a` by an eye.)"""
    if text == "4dmin":
        must_be_free_to_choose(text, RESERVED_HANDLES)
        return
    with pytest.raises(HandleIsReserved):
        must_be_free_to_choose(text, RESERVED_HANDLES)


@given(ANY_TEXT)
def test_any_text_is_an_address_in_its_one_form_or_is_refused(text: str) -> None:
    """The key of what was read is the key of what was typed."""
    try:
        address = read_email("body.email", text)
    except Invalid:
        assert key_of_text(text) is None
        return

    assert read_email("body.email", address) == address
    assert key_of_text(text) == email_key(address) == email_key(email_key(address))


@given(st.emails())
def test_addresses_are_the_same_whatever_their_case(address: str) -> None:
    """The whole address, not only its domain."""
    key = key_of_text(address)

    assert key is None or key_of_text(address.upper()) == key == key_of_text(f" {address.swapcase()}\n")


def test_international_domains_have_one_form() -> None:
    """However they are typed."""
    forms = {
        key_of_text("ana@" + domain) for domain in ("bücher.de", "BÜCHER.DE", "xn--bcher-kva.de", "bu\u0308cher.de")
    }

    assert forms == {"ana@xn--bcher-kva.de"}


NO_ADDRESSES = [
    *("", "@", "a@", "@b.de", "a@b", "a@b..de", "a@-b.de", "a b@c.de", "a@c.de\u0000", "a\u202eb@c.de", '"a b"@c.de'),
    *("a@[1.2.3.4]", "a@1.2.3.4", "a@b.de,c@d.de", "x" * 65 + "@c.de", "a@" + "b" * 250 + ".de", "a..b@c.de"),
    "a@b.de@c.de",
]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_texts_that_are_no_address(text: str) -> None:
    """Nor several, nor one with a header in it."""
    with pytest.raises(Invalid):
        read_email("body.email", text)


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_a_line_is_printable_and_stays_as_it_is(text: str) -> None:
    """Whatever is kept can be shown beside other people's names."""
    try:
        line = read_line("body.name", text)
    except Invalid:
        return

    assert read_line("body.name", line) == line
    assert line.strip()
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in line)


@given(st.text(st.characters(codec="utf-8"), max_size=140))
def test_every_text_is_judged_as_a_password(text: str) -> None:
    """A verdict, never an error; a name in it is found however it is written."""
    verdict = weakness(text, ("ana.lopez@example.org", "ana_lopez", "Ana López"))

    assert verdict is None or isinstance(verdict, str)
    assert weakness(text + "ANA.LOPEZ@example.org", ("ana.lopez@example.org",)) is not None


@given(st.text(st.sampled_from("abcxyz0189!_"), min_size=1, max_size=30), st.sampled_from("qk7?"))
def test_one_more_letter_never_makes_guessing_easier_by_much(text: str, letter: str) -> None:
    """Except that it may complete a word or a repetition."""
    assert guessing_bits(text + letter) >= 0
    assert guessing_bits(text) <= 5 * len(text) + 3


@pytest.mark.parametrize("code_at", [-30, 0, 30])
def test_a_code_of_about_now_matches_its_step_once(code_at: int) -> None:
    """And none that is older than the last one used."""
    secret, now = totp.new_secret(), datetime(2026, 11, 20, 12, 0, 7, tzinfo=UTC)
    code = TOTP(secret).at(int(now.timestamp()) + code_at)
    step = totp.matching_step(secret, code, now=now, after_step=0)

    assert step == int(now.timestamp()) // 30 + code_at // 30
    assert totp.matching_step(secret, code, now=now, after_step=step) is None
    assert totp.matching_step(secret, "abcdef", now=now, after_step=0) is None
