"""The gateway as people run it: several processes on one port, that one can kill, stop and scrape."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.entry.gateways import Carrying, Socket, carrying
from tests.entry.running import Serving, give_to_nobody, refused, serving, signed_up, until


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Serving]:
    """A server that ordinary users may run beside."""
    with serving(give_to_nobody(place / "data"), nobody=True) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: Serving) -> str:
    """Ana's access token."""
    with server.client as client:
        _, headers = signed_up(client, "ana")
    return headers["authorization"].removeprefix("Bearer ")


def sockets_of(gateway: Carrying) -> dict[str, int]:
    """How many connections each process says that it carries."""
    with gateway.client as client:
        lines = client.get("/metrics").text.splitlines()
    found = [line.split(" ") for line in lines if line.startswith("tenfold_realtime_sockets{")]
    return {name: int(float(value)) for name, value in found}


def test_a_killed_process_is_started_again_and_the_others_notice_nothing(server: Serving, token: str) -> None:
    """Its connections end, and come back to one of the three."""
    with carrying(server) as gateway, gateway.sockets_everywhere(token) as sockets:
        before = gateway.children()
        os.kill(before[0], signal.SIGKILL)
        alive = [socket.is_alive() for socket in sockets]
        assert until(lambda: len(set(gateway.children()) - set(before)) == 1)

        assert len(before) == 3
        assert 0 < sum(alive) < len(sockets)
        assert [socket.is_alive() for socket in sockets] == alive
        with gateway.sockets(token, alive.count(False)) as back:
            assert all(socket.is_alive() for socket in back)
        assert "a process has died" in gateway.log.read_text()


def test_a_crowd_is_led_to_as_few_processes_as_there_are_cores(server: Serving, token: str) -> None:
    """And the next crowd to others, once those are emptier. Now and then one comes while the choice is made anew."""
    cores = os.cpu_count() or 1
    unlimited = {"TENFOLD_REALTIME__SOCKETS_PER_USER": "0"}
    with carrying(server, 2 * cores + 1, **unlimited) as gateway, ExitStack() as stack:
        crowds: list[set[int]] = []

        def came_elsewhere() -> bool:
            before = gateway.held()
            stack.enter_context(gateway.sockets(token, 8 * cores))
            crowds.append({pid for pid, held in gateway.held().items() if held > before[pid]})
            return any(not one & next_ for one, next_ in pairwise(crowd for crowd in crowds if len(crowd) == cores))

        assert until(came_elsewhere)


def test_a_stop_tells_every_client_to_reconnect(server: Serving, token: str) -> None:
    """3001 to each, exit code 0, and nothing is left of it."""
    with carrying(server) as gateway, gateway.sockets_everywhere(token) as sockets:
        children = gateway.children()
        gateway.process.send_signal(signal.SIGTERM)
        codes = {socket.closing_code() for socket in sockets}

        assert codes == {3001}
        assert gateway.process.wait(20) == 0
        assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_processes_end_with_a_parent_that_was_killed(server: Serving, token: str) -> None:
    """They do not go on serving where nobody can stop them."""
    with carrying(server, 2) as gateway, gateway.sockets_everywhere(token) as sockets:
        children = gateway.children()
        gateway.process.kill()
        codes = {socket.closing_code() for socket in sockets}

        assert codes == {3001}
        assert until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()])


def test_any_process_answers_for_all(server: Serving, token: str) -> None:
    """A scrape meets one of them by chance, so it must not matter which."""
    with carrying(server) as gateway, gateway.client as client, gateway.sockets(token, 12):
        assert client.get("/health").json() == {"status": "alive"}
        assert client.get("/ready").status_code == 200
        assert client.get("/nothing").status_code == 404
        assert until(lambda: sum(sockets_of(gateway).values()) == 12, seconds=15)

        assert len(sockets_of(gateway)) == 3
        assert client.get("/metrics").text.count("# HELP tenfold_realtime_sockets ") == 1


def test_a_revoked_session_ends_on_every_process(server: Serving) -> None:
    """Within a second, though it was revoked elsewhere."""
    with server.client as client:
        _, headers = signed_up(client, "eve")
        token = headers["authorization"].removeprefix("Bearer ")
        with carrying(server) as gateway, gateway.sockets_everywhere(token) as sockets:
            client.delete("/v1/sessions/current", headers=headers).raise_for_status()

            assert {socket.closing_code() for socket in sockets} == {3503}


def test_what_the_server_does_is_heard_on_the_gateway(server: Serving) -> None:
    """Both run on one data folder: a message, the hint of it, and that somebody was removed come within two seconds."""
    with server.client as client:
        _, of_mia = signed_up(client, "mia")
        bob, of_bob = signed_up(client, "bob")
        group = client.post("/v1/conversations", json={"title": "Us", "members": [bob]}, headers=of_mia).json()["id"]
        client.put(f"/v1/conversations/{group}/membership", headers=of_bob).raise_for_status()
        room, own = f"conversation:{group}", f"user:{bob}"
        token = of_bob["authorization"].removeprefix("Bearer ")
        with carrying(server) as gateway, gateway.sockets(token, 4) as sockets:
            for socket in sockets:
                socket.ask(subscribe={"channel": room})
            client.post(
                f"/v1/conversations/{group}/messages", json={"body": "hello"}, headers=of_mia
            ).raise_for_status()
            assert all(socket.hears((room, "pub"), (own, "pub")) for socket in sockets)

            client.delete(f"/v1/conversations/{group}/members/{bob}", headers=of_mia).raise_for_status()
            assert all(socket.hears((room, "unsubscribe")) for socket in sockets)


def test_the_server_takes_messages_as_large_as_the_settings_say(place: Path) -> None:
    """One setting says how large for both; a client does not know which it has met."""
    with serving(place / "large", TENFOLD_REALTIME__MAX_FRAME="2MiB") as server, server.client as client:
        _, headers = signed_up(client, "zoe")
        token = headers["authorization"].removeprefix("Bearer ")
        with connect(f"{server.url.replace('http', 'ws')}/connection/websocket", close_timeout=1) as connection:
            assert Socket(connection, token).ask(ping={"pad": "x" * 1_500_000}) == {}


def test_an_ordinary_user_may_run_it(server: Serving, token: str) -> None:
    """It needs no right that a server does not need."""
    with carrying(server, 2, nobody=True) as gateway, gateway.sockets(token, 4) as sockets:
        assert all(socket.is_alive() for socket in sockets)
        assert gateway.stop() == 0


def test_a_taken_port_is_one_sentence(server: Serving, token: str) -> None:
    """Also when it is another gateway's, with which the kernel would let it share."""
    with carrying(server, 1) as gateway:
        port = gateway.address.rpartition(":")[2]
        code, said = refused("gateway", "--data", str(server.data), "--port", port, "--processes", "2")

        assert code == 1
        assert said == f"tenfold: Port {port} on 127.0.0.1 is taken by another program; choose another with --port.\n"


def test_without_a_running_database_it_says_so(place: Path) -> None:
    """It would be of no use to anybody, since nobody writes there."""
    with serving(place / "idle"):
        pass
    code, said = refused("gateway", "--data", str(place / "idle"), "--port", "0")
    nowhere, unknown = refused("gateway", "--data", str(place / "typo"), "--port", "0")

    assert (code, nowhere) == (1, 1)
    assert "No Tenfold runs on the data folder" in said
    assert "There is no database in" in unknown


def test_more_connections_than_files_are_refused_at_the_start(server: Serving) -> None:
    """Not when the last of them connects."""
    code, said = refused("gateway", "--data", str(server.data), "--port", "0", TENFOLD_GATEWAY__CONNECTIONS="900000000")

    assert code == 1
    assert "raise the limit" in said
