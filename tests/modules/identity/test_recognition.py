"""Recognising our own signatures gives the library's answer, for every signature that there may be."""

from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tenfold.modules.identity.recognition import Recognition

ORDER = 2**252 + 27742317777372353535851937790883648493
seeds = st.binary(min_size=32, max_size=32)
messages = st.binary(max_size=600)


def signed(seed: bytes, message: bytes) -> tuple[Recognition, bytes]:
    """Who recognises the signatures of a key, and that of a message, as the library makes it."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Recognition(key), key.sign(message)


def text(signature: bytes) -> bytes:
    """As it stands in a token."""
    return urlsafe_b64encode(signature).rstrip(b"=")


@given(seeds, messages)
def test_what_the_library_signs_is_recognised(seed: bytes, message: bytes) -> None:
    """Whatever the key and the message."""
    recognition, signature = signed(seed, message)

    assert recognition.recognises(message, text(signature))


@given(seeds, messages, st.integers(0, 511))
def test_one_bit_less_is_not(seed: bytes, message: bytes, bit: int) -> None:
    """Nor one bit more, in R or in S."""
    recognition, signature = signed(seed, message)
    forged = bytearray(signature)
    forged[bit // 8] ^= 1 << bit % 8

    assert not recognition.recognises(message, text(bytes(forged)))


@given(seeds, messages, messages, seeds)
def test_neither_another_message_nor_another_key_is(seed: bytes, message: bytes, other: bytes, stranger: bytes) -> None:
    """A signature goes with what it signed and who signed it."""
    recognition, signature = signed(seed, message)

    assert recognition.recognises(other, text(signature)) is (other == message)
    assert recognition.recognises(message, text(signed(stranger, message)[1])) is (stranger == seed)


@given(seeds, messages, st.binary(min_size=32, max_size=32))
def test_another_point_is_not_recognised_with_any_known_scalar(seed: bytes, message: bytes, point: bytes) -> None:
    """R goes into the hash that S is made with: it cannot be exchanged."""
    recognition, signature = signed(seed, message)

    assert recognition.recognises(message, text(point + signature[32:])) is (point == signature[:32])


@given(seeds, messages)
def test_a_scalar_is_not_taken_beyond_the_order(seed: bytes, message: bytes) -> None:
    """S and S plus the order are the same on the curve; only one of them is a signature (RFC 8032, 5.1.7)."""
    recognition, signature = signed(seed, message)
    scalar = int.from_bytes(signature[32:], "little") + ORDER

    assert not recognition.recognises(message, text(signature[:32] + scalar.to_bytes(32, "little")))


@given(seeds, messages, st.binary(min_size=86, max_size=86), st.integers(0, 85), st.integers(0, 255))
def test_what_is_no_signature_is_refused(seed: bytes, message: bytes, garbage: bytes, at: int, byte: int) -> None:
    """Of whatever length, in base64 or not; each has one spelling only."""
    recognition, signature = signed(seed, message)
    spelled = text(signature)
    changed = spelled[:at] + bytes((byte,)) + spelled[at + 1 :]

    assert recognition.recognises(message, changed) is (changed == spelled)
    for refused in (garbage, b"!" * 86, b"", spelled[:-1], spelled + b"=", b"\n" + spelled[:-1]):
        assert not recognition.recognises(message, refused)
