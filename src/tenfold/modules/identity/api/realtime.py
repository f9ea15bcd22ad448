"""The door at which realtime subscriptions get their tokens."""

from tenfold.kit.actors import Actor
from tenfold.kit.refusals import Unavailable
from tenfold.modules.identity.errors import ChannelNotFound
from tenfold.modules.identity.permits import SubscriptionTokens
from tenfold.modules.identity.shapes import SubscriptionRequest, SubscriptionToken
from tenfold.platform.http import door
from tenfold.platform.realtime import codes
from tenfold.platform.realtime.lobby import Lobby


@door.post("/realtime/subscription-tokens", limit="read", idempotent=False, refuses=[ChannelNotFound])
async def open_subscription(
    lobby: Lobby, tokens: SubscriptionTokens, actor: Actor, data: SubscriptionRequest
) -> SubscriptionToken:
    """Get a token to listen to a channel with: whoever comes back with it is not looked up again until it ends."""
    refusal = await lobby.refuses_to_listen(actor, data.channel)
    if refusal is codes.INTERNAL:
        raise Unavailable(retry_after=1)
    if refusal is not None:
        raise ChannelNotFound
    return SubscriptionToken(tokens.issue(actor.id, data.channel), int(tokens.lifetime.total_seconds()))
