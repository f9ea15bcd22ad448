"""The gateway: realtime sessions on picows, for very many connections in few processes.

    gateway = Gateway(lobby, admission)
    await gateway.open(listener)
    ...
    await gateway.drain()

The same sessions as on the web process's WebSocket, at the same path. A connection costs no task while it is idle, and
about 7 KB of memory in all (`docs/operations/realtime.md` has the figures).
"""

from tenfold.platform.realtime.gateway.server import AWAY, PATH, Gateway, GatewayRules, Seat

__all__ = ["AWAY", "PATH", "Gateway", "GatewayRules", "Seat"]
