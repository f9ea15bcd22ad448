"""The peer: a WebSocket server with rooms on the `websockets` library and uvloop, as its documentation advises."""
