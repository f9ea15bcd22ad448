"""Access tokens, the keyring, and the password pool, each by itself."""

import asyncio
import base64
import contextlib
import json
from datetime import timedelta
from uuid import UUID

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from tenfold.kit.actors import Actor
from tenfold.kit.clock import SetClock
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import NotSignedIn, Unavailable
from tenfold.modules.identity import AccessTokens, IdentityPolicy, Keyring, PasswordPolicy, Passwords
from tenfold.modules.identity.refresh import first_of_family, from_text, matching, successors, to_text
from tenfold.modules.identity.tokens import Bearer
from tests.world import World

OLD, NEW = "an old secret that is long enough, surely", "a new secret that is long enough, surely"


class Desk:
    """One process that issues and recognises tokens."""

    def __init__(self, keyring: Keyring | None = None, **policy: object) -> None:
        self.clock = SetClock()
        self.keyring = keyring or Keyring([OLD])
        self.tokens = AccessTokens(self.keyring, policy=IdentityPolicy(**policy), clock=self.clock)

    def issue(self, user_id: UUID | None = None, *, version: int = 1) -> str:
        """A token for one more session."""
        actor = Actor(id=user_id or new_id(), session_id=new_id(), role="moderator", tier=3, verified=True)
        return self.tokens.issue(Bearer(actor=actor, version=version))


def altered(token: str, **claims: object) -> str:
    """The same token with other claims, and the old signature."""
    head, body, signature = token.split(".")
    values = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps({**values, **claims}).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def test_a_token_says_who_bears_it() -> None:
    """Everything that a door needs to know."""
    desk = Desk()
    actor = desk.tokens.authenticate(desk.issue())

    assert (actor.role, actor.tier, actor.verified) == ("moderator", 3, True)


def test_a_token_that_is_only_read_is_not_remembered() -> None:
    """A socket shows its token once: a million of them must not push those of requests out of memory."""
    desk = Desk()
    token = desk.issue()

    borne = desk.tokens.read(token)

    assert not desk.tokens.remembers(token)
    assert borne.actor == desk.tokens.authenticate(token)
    assert borne.expires_at == desk.clock.now().replace(microsecond=0) + IdentityPolicy().access_token_lasts


def test_a_signature_has_one_spelling() -> None:
    """Base64 leaves four bits of the last character free: a token spelled otherwise is none of ours."""
    desk = Desk()
    token = desk.issue()
    spellings = [token[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]

    accepted = []
    for spelling in spellings:
        with contextlib.suppress(NotSignedIn):
            desk.tokens.read(spelling)
            accepted.append(spelling)

    assert accepted == [token]


def test_forged_tokens_are_refused() -> None:
    """Another signature, another algorithm, none at all, a public key used as a secret, another installation."""
    desk = Desk()
    token = desk.issue()
    claims = jws.extract_compact(token.encode()).payload
    kid = desk.keyring.signing_kid
    public = json.dumps(desk.keyring.public_keys()[0]).encode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"' + kid.encode() + b'"}').rstrip(b"=").decode()
    forged = [
        altered(token, role="admin"),
        token[:-6] + "AAAAAA",
        f"{none}.{token.split('.')[1]}.",
        jws.serialize_compact({"alg": "HS256", "kid": kid}, claims, OctKey.import_key(public), algorithms=["HS256"]),
        jws.serialize_compact(
            {"alg": "Ed25519", "kid": kid}, claims, OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"]
        ),
        Desk(Keyring([NEW])).issue(),
        Desk(issuer="another").issue(),
        "",
        "a.b.c",
        "x" * 5000,
        token + "\u00e9",
    ]

    for text in forged:
        with pytest.raises(NotSignedIn):
            desk.tokens.authenticate(text)


def test_a_token_ends_with_its_time_also_when_it_is_remembered() -> None:
    """Ten minutes after it was issued."""
    desk = Desk()
    token = desk.issue()
    desk.tokens.authenticate(token)
    desk.clock.advance(timedelta(minutes=10))

    for _ in range(2):
        with pytest.raises(NotSignedIn, match="expired"):
            desk.tokens.authenticate(token)


def test_a_revoked_session_is_refused_whether_or_not_it_was_remembered() -> None:
    """The other sessions of the user are not."""
    desk, user_id = Desk(), new_id()
    known, unknown, other = (desk.issue(user_id) for _ in range(3))
    ids = [UUID(_claims(token)["sid"]) for token in (known, unknown)]
    desk.tokens.authenticate(known)

    desk.tokens.revoke_sessions(ids)

    for token in (known, unknown):
        with pytest.raises(NotSignedIn, match="ended"):
            desk.tokens.authenticate(token)
    assert desk.tokens.authenticate(other).id == user_id


def test_outdated_claims_are_refused_and_newer_ones_taken() -> None:
    """By version, so that no difference between two clocks matters."""
    desk, user_id = Desk(), new_id()
    old, new = desk.issue(user_id, version=3), desk.issue(user_id, version=4)
    desk.tokens.authenticate(old)

    desk.tokens.outdate(user_id, 4)
    desk.tokens.outdate(user_id, 2)

    with pytest.raises(NotSignedIn, match="changed"):
        desk.tokens.authenticate(old)
    assert desk.tokens.authenticate(new).id == user_id


def test_memory_is_bounded_and_a_forgotten_token_is_verified_again() -> None:
    """A flood of tokens costs time, not memory."""
    desk = Desk(remembered_tokens=10)
    tokens = [desk.issue() for _ in range(30)]
    for token in tokens:
        desk.tokens.authenticate(token)

    assert sum(desk.tokens.remembers(token) for token in tokens) == 10
    assert desk.tokens.authenticate(tokens[0])


def test_what_was_made_with_a_retired_secret_is_still_good() -> None:
    """Replacing the secret signs nobody out; without it the old makes are worthless."""
    before, after, gone = Keyring([OLD]), Keyring([NEW, OLD]), Keyring([NEW])
    token = Desk(before).issue()
    refresh = to_text(before, first_of_family(new_id(), new_id()))
    sealed = before.seal(b"JBSWY3DPEHPK3PXP")

    assert Desk(after).tokens.authenticate(token)
    assert from_text(after, refresh) is not None
    assert after.unseal(sealed) == b"JBSWY3DPEHPK3PXP"
    assert from_text(gone, refresh) is None
    with pytest.raises(NotSignedIn):
        Desk(gone).tokens.authenticate(token)
    with pytest.raises(ValueError, match="not on the keyring"):
        gone.unseal(sealed)
    with pytest.raises(ValueError, match="32 characters"):
        Keyring(["short"])


def test_the_successor_is_the_same_after_the_keys_changed() -> None:
    """A rotation of keys during somebody's grace ends no session."""
    token = first_of_family(new_id(), new_id())
    handed_out = successors(Keyring([OLD]), token)[0]

    found = matching(successors(Keyring([NEW, OLD]), token), handed_out.digest)

    assert found == handed_out


async def test_the_public_keys_verify_tokens_elsewhere(world: World) -> None:
    """A service beside this one needs nothing but the door."""
    answer = await world.visitor.get("/v1/keys")
    key = OKPKey.import_key(answer.body["keys"][0])

    signed = jws.deserialize_compact(world.ana.token, key, algorithms=["Ed25519"])

    assert json.loads(signed.payload)["sub"] == str(world.ana.id)
    assert "d" not in answer.body["keys"][0]


async def test_a_full_password_pool_says_come_back() -> None:
    """A storm of sign-ins waits or is sent away; it never piles up."""
    passwords = Passwords(PasswordPolicy(time_cost=1, memory_kib=1024, workers=1, queue=3))
    try:
        results = await asyncio.gather(*(passwords.hash("a password") for _ in range(10)), return_exceptions=True)
    finally:
        passwords.close()

    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 6
    assert refused[0].retry_after is not None
    assert sum(isinstance(result, str) for result in results) == 4


async def test_hashes_are_argon2id_at_the_cost_that_is_described() -> None:
    """And compose letters as keyboards differ."""
    passwords = Passwords(PasswordPolicy(time_cost=1, memory_kib=64, workers=1))
    try:
        hashed = await passwords.hash("caf\u00e9 au lait")

        assert hashed.startswith("$argon2id$v=19$m=64,t=1,p=1$")
        assert (await passwords.verify(hashed, "cafe\u0301 au lait")).matches
        assert not (await passwords.verify(hashed, "cafe au lait")).matches
        assert not (await passwords.verify(None, "caf\u00e9 au lait")).matches
        assert passwords.describe()["memory_kib"] == 64
    finally:
        passwords.close()


def _claims(token: str) -> dict[str, str]:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
