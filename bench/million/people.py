"""The people: a user per connection, known by number, and the access token of each, made by identity itself.

`python -m bench.million.people FILE FIRST LAST` makes those of a range and writes them at their places in the file.
"""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

from bench.million.settings import SECRET

_USER = 0x01970000_0000_7000_8000_000000000000
_SESSION = 0x01970000_0000_7000_9000_000000000000
_PREFIX = "user:01970000-0000-7000-8000-"


def channel_of(user: int) -> str:
    """The channel of a user."""
    return f"{_PREFIX}{user:012x}"


def user_of(channel: str) -> int:
    """Whose channel that is; -1 when it is nobody's."""
    return int(channel[len(_PREFIX) :], 16) if channel.startswith(_PREFIX) else -1


def mint(path: Path, users: int, processes: int) -> float:
    """Write every user's token into a file, all of the same length; the seconds it took."""
    started = time.perf_counter()
    bounds = [users * part // processes for part in range(processes + 1)]
    path.touch()
    workers = [
        subprocess.Popen([sys.executable, "-m", "bench.million.people", str(path), str(first), str(last)])
        for first, last in itertools.pairwise(bounds)
    ]
    if any(worker.wait() for worker in workers):
        raise RuntimeError("the tokens could not be made")
    return time.perf_counter() - started


def width_of(path: Path, users: int) -> int:
    """How long each token in the file is."""
    width, rest = divmod(path.stat().st_size, users)
    if rest:
        raise RuntimeError("the tokens are not all of the same length")
    return width


def _write(path: Path, first: int, last: int) -> None:
    from datetime import timedelta

    from tenfold.kit.actors import Actor
    from tenfold.kit.clock import Clock
    from tenfold.modules.identity import AccessTokens, IdentityPolicy, Keyring
    from tenfold.modules.identity.tokens import Bearer

    policy = IdentityPolicy(access_token_lasts=timedelta(hours=12))
    tokens = AccessTokens(Keyring([SECRET]), policy=policy, clock=Clock())
    file = os.open(path, os.O_WRONLY)
    for begin in range(first, last, 1000):
        actors = (
            Actor(id=UUID(int=_USER + user), session_id=UUID(int=_SESSION + user), verified=True)
            for user in range(begin, min(begin + 1000, last))
        )
        made = [tokens.issue(Bearer(actor=actor, version=1)).encode() for actor in actors]
        if len({len(token) for token in made}) > 1:
            raise RuntimeError("the tokens are not all of the same length")
        os.pwrite(file, b"".join(made), begin * len(made[0]))
    os.close(file)


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
