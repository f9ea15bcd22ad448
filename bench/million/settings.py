"""What a run is made of."""

import argparse
import math
from dataclasses import dataclass

SECRET = "a secret of the benchmark, and of nothing else"
_FILES = 20_000  # that a process may open where nobody changed it
_GENERATOR = 19_500  # connections of a generator: all its files but a few
_GATEWAY = 18_200  # connections of a gateway process: room for the uneven spread, and for those of one that died


@dataclass(frozen=True)
class Run:
    """How many connections, held by how many processes on either side, and how long each part takes."""

    connections: int
    gateways: int
    generators: int
    rate: float
    in_flight: int
    ping: float
    messages: float
    seconds: float
    floor: bool


@dataclass(frozen=True)
class Share:
    """One generator's part: its number, its users, how many attempts at a time, how many per second (0: no bound).

    `at_a_time` is for the first attempts, when few generators have their turn, `again_at_a_time` for all at once.
    """

    number: int
    first: int
    last: int
    at_a_time: int
    again_at_a_time: int
    rate: float
    address: tuple[str, int]


def options() -> Run:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench.million", description=__doc__)
    parser.add_argument("--connections", type=int, default=1_000_000, help="how many users connect (1000000)")
    parser.add_argument("--gateways", type=int, help="processes of the gateway (as few as hold them, at least 2)")
    parser.add_argument("--generators", type=int, help="processes of the load generator (as few as hold them)")
    parser.add_argument("--rate", type=float, default=0.0, help="connects per second (0: as fast as they are answered)")
    parser.add_argument("--in-flight", type=int, default=8_192, help="connects under way at a time (8192)")
    parser.add_argument("--ping", type=float, help="the gateway's ping interval in seconds (120; below 100000: 25)")
    parser.add_argument("--messages", type=float, default=2_000.0, help="messages to single users per second (2000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they are sent (20)")
    parser.add_argument("--floor", action="store_true", help="connect to a bare listener of picows as well")
    chosen = parser.parse_args()
    connections = chosen.connections
    return Run(
        connections=connections,
        gateways=chosen.gateways or max(2, math.ceil(connections / _GATEWAY)),
        generators=chosen.generators or max(2, math.ceil(connections / _GENERATOR)),
        rate=chosen.rate,
        in_flight=chosen.in_flight,
        ping=chosen.ping or (120.0 if connections >= 100_000 else 25.0),
        messages=chosen.messages,
        seconds=chosen.seconds,
        floor=chosen.floor,
    )
