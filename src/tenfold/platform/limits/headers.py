"""The response fields of a decision: `RateLimit`, `RateLimit-Policy` and, on a refusal, `Retry-After`.

Syntax: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4 (`"calls";q=300;w=900` and `"calls";r=299;t=3`), Lists
of RFC 9651. The draft still moves: its editors discuss other parameter names. This is the only place that knows them.
"""

from functools import lru_cache
from math import ceil

from tenfold.platform.limits import Decision, Rate

Fields = list[tuple[bytes, bytes]]


def limit_fields(decision: Decision) -> Fields:
    """The header fields that tell a client where it stands, as ASGI takes them.

    `t` is when the burst is full again. On a refusal it is when this request would pass, because the draft wants
    `Retry-After` not to lie before the end of the window that `t` announces. Spans are rounded up to whole seconds.
    """
    name, policy = _policy(decision.demand.name, decision.demand.rate)
    if decision.allowed:
        limit = b"%b;r=%d;t=%d" % (name, decision.remaining, ceil(decision.reset_after))
        return [(b"ratelimit-policy", policy), (b"ratelimit", limit)]
    wait = max(1, ceil(decision.retry_after))
    limit = b"%b;r=%d;t=%d" % (name, decision.remaining, wait)
    return [(b"ratelimit-policy", policy), (b"ratelimit", limit), (b"retry-after", b"%d" % wait)]


@lru_cache(maxsize=1024)
def _policy(name: str, rate: Rate) -> tuple[bytes, bytes]:
    quoted = ('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"').encode("ascii")
    return quoted, b"%b;q=%d;w=%d" % (quoted, rate.calls, max(1, ceil(rate.period.total_seconds())))
