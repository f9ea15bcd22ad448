"""A real Redis for the tests: one server, or a cluster of three masters, quick to start, to kill and to restart."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from tests.postgres import fast_folder

_SLOTS = ("0-5460", "5461-10922", "10923-16383")
# Nothing here must survive a power cut; with `keep`, what was written survives a SIGKILL.
_IN_A_HURRY = ("--save", "", "--bind", "127.0.0.1", "--daemonize", "no", "--loglevel", "warning")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class RedisServer:
    """One redis-server in a folder of its own; it ends with this process, however that ends."""

    def __init__(self, *, keep: bool = False, options: tuple[str, ...] = (), config: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tenfold-redis-", dir=fast_folder()))
        self.port = free_port()
        self._options = (*options, "--appendonly", "yes", "--appendfsync", "no") if keep else options
        if config:
            (self.folder / "nodes.conf").write_text(config)
        self.password: tuple[str, str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for settings."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> "redis.Redis":
        """A plain client, for looking from outside."""
        user, password = self.password or (None, None)
        return redis.Redis(port=self.port, username=user, password=password, decode_responses=True)

    def start(self) -> None:
        """Start, or start again with what the folder holds, and wait until it answers."""
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server does not start"
            if self._process is None or self._process.poll() is not None:
                # Not yet, or not: for a moment somebody's outgoing connection may have the port.
                self._process = subprocess.Popen(self._command(), stdout=subprocess.DEVNULL)
            time.sleep(0.01)

    def _command(self) -> list[str]:
        server = ["redis-server", "--port", str(self.port), "--dir", str(self.folder), *_IN_A_HURRY, *self._options]
        return ["setpriv", "--pdeathsig", "KILL", "--", *server]

    def _answers(self) -> bool:
        if self._process is None:
            return False
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal: stop it for a while, and let it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def remove(self) -> None:
        """End it, and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisClusterServers:
    """Three masters, born knowing each other: each is given the table that meeting would have written."""

    def __init__(self, *, full_coverage: bool = True) -> None:
        manners = ("--cluster-node-timeout", "1000")
        manners += ("--cluster-require-full-coverage", "yes" if full_coverage else "no")
        ports = [(free_port(), free_port()) for _ in _SLOTS]
        names = [f"{number:040x}" for number in range(1, 4)]
        self.nodes: list[RedisServer] = []
        for me, (port, bus) in enumerate(ports):
            lines = [
                f"{names[n]} 127.0.0.1:{p}@{b} {'myself,' * (n == me)}master - 0 0 {n + 1} connected {_SLOTS[n]}\n"
                for n, (p, b) in enumerate(ports)
            ]
            options = (
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                str(bus),
                "--cluster-node-timeout",
                "1000",
                *manners,
            )
            node = RedisServer(options=options, config="".join(lines) + "vars currentEpoch 3 lastVoteEpoch 0\n")
            node.port = port
            self.nodes.append(node)

    @property
    def url(self) -> str:
        """The address of one of them, for settings."""
        return self.nodes[0].url

    def start(self) -> None:
        """Start all, and wait until each says that the cluster is whole."""
        for node in self.nodes:
            node.start()
        deadline = time.monotonic() + 30
        for node in self.nodes:
            with node.client() as client:
                while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
                    assert time.monotonic() < deadline, "the cluster does not come together"
                    time.sleep(0.02)

    def flush(self) -> None:
        """Forget everything."""
        for node in self.nodes:
            with node.client() as client:
                client.flushall()

    def replicate(self, number: int) -> Callable[[], None]:
        """Give a master a replica that has all its data; returns how that one takes its place, once it is dead."""
        port = free_port()
        bus = free_port()
        replica = RedisServer(options=("--cluster-enabled", "yes", "--cluster-port", str(bus)))
        replica.port = port
        self.nodes.append(replica)
        replica.start()
        with replica.client() as client, self.nodes[number].client() as master:
            master_id = master.execute_command("CLUSTER", "MYID")
            master.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
            _until(lambda: str(client.execute_command("CLUSTER", "NODES")).count("master") >= len(_SLOTS) + 1)
            _until(lambda: _is_done(client, "CLUSTER", "REPLICATE", master_id))
            _until(lambda: client.info("replication").get("master_link_status") == "up")

        def take_over() -> None:
            with replica.client() as client:
                client.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")

        return take_over

    def move(self, slot: int) -> None:
        """Migrate a slot with all that is in it to the next master, live."""
        with self.moving(slot):
            pass

    @contextmanager
    def moving(self, slot: int) -> Iterator[None]:
        """A slot whose keys have moved to the next master; the slot itself follows at the end."""
        clients = [node.client() for node in self.nodes]
        ids = [str(client.execute_command("CLUSTER", "MYID")) for client in clients]
        owner = next(n for n in range(3) if self._owns(clients[n], slot))
        target = (owner + 1) % 3
        clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
        clients[owner].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        self._migrate_keys(clients[owner], slot, self.nodes[target].port)
        try:
            yield
        finally:
            self._migrate_keys(clients[owner], slot, self.nodes[target].port)
            for client in (clients[target], *clients):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
            for client in clients:
                client.close()

    def remove(self) -> None:
        """End all, and remove their files."""
        for node in self.nodes:
            node.remove()

    @staticmethod
    def _migrate_keys(client: "redis.Redis", slot: int, port: int) -> None:
        while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            client.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)

    @staticmethod
    def _owns(client: "redis.Redis", slot: int) -> bool:
        me = str(client.execute_command("CLUSTER", "MYID"))
        table = client.execute_command("CLUSTER", "SLOTS")
        return any(first <= slot <= last and node[2] == me for first, last, node, *_ in table)


def _until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_done(client: "redis.Redis", *command: object) -> bool:
    try:
        client.execute_command(*command)
    except redis.ResponseError:
        return False
    return True
