"""Subscription tokens: issued to those who may listen, and of no use to anybody else, elsewhere or later."""

import base64
import hmac
import json
from datetime import timedelta
from uuid import UUID

import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from tenfold.kit.clock import SetClock
from tenfold.kit.ids import new_id
from tenfold.kit.refusals import NotSignedIn, TokenIsExpired
from tenfold.modules.identity import IdentityPolicy, Keyring, SubscriptionTokens
from tenfold.platform.realtime import user_channel
from tests.modules.identity.test_tokens import NEW, OLD, altered
from tests.world import World

BOB = UUID("01890000-0000-7000-8000-00000000b0b0")
ROOM = "room:01890000-0000-7000-8000-000000000001"


class Desk:
    """One process that issues and reads subscription tokens."""

    def __init__(self, *secrets: str, **policy: object) -> None:
        self.clock = SetClock()
        self.keyring = Keyring(secrets or [OLD])
        self.tokens = SubscriptionTokens(self.keyring, policy=IdentityPolicy(**policy), clock=self.clock)


def test_a_token_says_who_may_listen_to_what_and_until_when() -> None:
    """With the claims that Centrifugo reads."""
    desk = Desk()
    token = desk.tokens.issue(BOB, ROOM)

    permit = desk.tokens.read(token)
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))

    assert (permit.user_id, permit.channel) == (BOB, ROOM)
    assert permit.expires_at is not None
    assert permit.expires_at.timestamp() == claims["exp"] == claims["iat"] + 600
    assert (claims["sub"], claims["channel"]) == (str(BOB), ROOM)
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}


def test_any_library_can_verify_a_token() -> None:
    """It is a JWT like others, for whoever holds the key of this purpose."""
    desk = Desk()
    key = OctKey.import_key(derived(OLD))

    signed = jws.deserialize_compact(desk.tokens.issue(BOB, ROOM), key, algorithms=["HS256"])

    assert json.loads(signed.payload)["channel"] == ROOM


def derived(secret: str) -> bytes:

    return hmac.digest(secret.encode(), b"tenfold identity: subscription tokens", "sha256")


def test_a_token_ends() -> None:
    """A client is told to get a new one."""
    desk = Desk()
    token = desk.tokens.issue(BOB, ROOM)

    desk.clock.advance(timedelta(minutes=10))

    with pytest.raises(TokenIsExpired):
        desk.tokens.read(token)


def test_a_token_of_the_secret_before_is_still_good() -> None:
    """Replacing the secret throws nobody out."""
    token = Desk(OLD).tokens.issue(BOB, ROOM)

    assert Desk(NEW, OLD).tokens.read(token).channel == ROOM
    with pytest.raises(NotSignedIn):
        Desk(NEW).tokens.read(token)


@pytest.mark.parametrize(
    "forged",
    [
        lambda token: altered(token, channel="room:01890000-0000-7000-8000-000000000002"),
        lambda token: altered(token, exp=4102444800),
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.rpartition(".")[0] + ".AAAA",
        lambda token: token[:-3],
        lambda token: token.replace(".", "", 1),
        lambda token: "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0" + token[token.index(".") :].rpartition(".")[0] + ".",
        lambda token: token + "A" * 3000,
        lambda token: "",
        lambda token: "§",
    ],
)
def test_a_token_that_was_tampered_with_is_refused(forged: object) -> None:
    """Whatever was changed about it."""
    desk = Desk()

    with pytest.raises(NotSignedIn) as refusal:
        desk.tokens.read(forged(desk.tokens.issue(BOB, ROOM)))  # type: ignore[operator]

    assert not isinstance(refusal.value, TokenIsExpired)


def test_a_token_of_another_installation_is_refused() -> None:
    """Even one with the same secret."""
    token = Desk(issuer="elsewhere").tokens.issue(BOB, ROOM)

    with pytest.raises(NotSignedIn):
        Desk().tokens.read(token)


async def test_whoever_may_listen_gets_a_token(world: World) -> None:
    """It names them and the channel, and how long it lasts."""
    channel = user_channel(world.ana.id)

    answer = await world.ana.post("/v1/realtime/subscription-tokens", {"channel": channel})

    assert (answer.status, answer.body["expires_in"]) == (201, 600)
    permit = world.parts.get(SubscriptionTokens).read(answer.body["token"])
    assert (permit.user_id, permit.channel) == (world.ana.id, channel)


async def test_whoever_may_not_listen_gets_none(world: World) -> None:
    """What one may not hear does not exist; and a token of one kind is none of the other."""
    asked = [user_channel(world.bob.id), f"nothing:{new_id()}"]
    answers = [await world.ana.post("/v1/realtime/subscription-tokens", {"channel": name}) for name in asked]
    strangers = await world.visitor.post("/v1/realtime/subscription-tokens", {"channel": asked[0]})
    empty = await world.ana.post("/v1/realtime/subscription-tokens", {"channel": ""})

    assert [(answer.status, answer.code) for answer in answers] == [(404, "ChannelNotFound")] * 2
    assert (strangers.status, empty.status) == (401, 400)
    with pytest.raises(NotSignedIn):
        world.parts.get(SubscriptionTokens).read(world.ana.token or "")
    own = await world.ana.post("/v1/realtime/subscription-tokens", {"channel": user_channel(world.ana.id)})
    with pytest.raises(NotSignedIn):
        world.house.tokens.read(own.body["token"])
