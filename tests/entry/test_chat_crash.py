"""Chat while servers are killed: clients that reconnect and send again lose nothing, and see nothing twice."""

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from tenfold.platform.db.embedded import Address
from tests.entry.chatting import Addresses, Copy, Device
from tests.entry.running import PASSWORD, Serving, free_port, serving, signed_up, started, until

KILLS = 3
LOAD = (0.4, 1.2)
PEOPLE = ("ana", "bob", "eve")
_NAMED = ("user", "password", "host", "database")
Person = tuple[str, dict[str, str]]


class Server:
    """A server that is killed and started again on the same port and folder."""

    def __init__(self, data: Path, **environ: str) -> None:
        self._stack = ExitStack()
        self._data = data
        self._port = free_port()
        self._environ = {"TENFOLD_HTTP__PORT": str(self._port), **environ}
        self._serving: Serving | None = None

    @property
    def addresses(self) -> Addresses:
        """Where it answers, when it does."""
        return Addresses(f"http://127.0.0.1:{self._port}", f"ws://127.0.0.1:{self._port}/connection/websocket")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._serving = self._stack.enter_context(serving(self._data, **self._environ))

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._serving is not None
        self._serving.kill()

    def close(self) -> None:
        """End whatever still runs."""
        self._stack.close()


async def test_nobody_loses_or_doubles_a_message_when_the_server_is_killed(place: Path) -> None:
    """After each kill every device has each acknowledged message once, in order, and unread counts are exact."""
    server = Server(place / "chat-killed")
    server.start()
    try:
        with httpx2.Client(base_url=server.addresses.http, timeout=10) as client:
            people = {name: signed_up(client, name) for name in PEOPLE}
            rooms = opened_rooms(client, people)
            devices = devices_of(client, server.addresses, rooms)

        async with chatting(server.addresses, devices, rooms, people):
            for _ in range(KILLS):
                await asyncio.sleep(random.uniform(*LOAD))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await asyncio.sleep(LOAD[0])

        await must_agree(server.addresses, devices, rooms, people)
        assert all(device.connects > 1 for device in devices)
        assert sum(device.resent for device in devices) > 0
    finally:
        server.close()


async def test_nobody_loses_or_doubles_a_message_when_a_gateway_process_is_killed(
    place: Path, database_address: Address
) -> None:
    """Its connections come back to its siblings or to its successor and recover; the others notice nothing."""
    environ = {"TENFOLD_DATABASE__URL": url_of(database_address), "TENFOLD_TOKENS__KEY": PASSWORD * 2}
    server = Server(place / "chat-behind-a-gateway", **environ)
    server.start()
    try:
        with (
            gateway(place / "gateway", **environ) as (address, process),
            httpx2.Client(base_url=server.addresses.http, timeout=10) as client,
        ):
            people = {name: signed_up(client, name) for name in PEOPLE}
            rooms = opened_rooms(client, people)
            devices = devices_of(client, Addresses(server.addresses.http, address), rooms)

            async with chatting(server.addresses, devices, rooms, people):
                for _ in range(KILLS):
                    await asyncio.sleep(random.uniform(*LOAD))
                    victims = children_of(process)
                    os.kill(random.choice(victims), signal.SIGKILL)
                    assert await asyncio.to_thread(until, lambda before=victims: children_of(process) != before)
                await asyncio.sleep(LOAD[0])

            await must_agree(server.addresses, devices, rooms, people)
        assert sum(device.connects for device in devices) > len(devices)
    finally:
        server.close()


@contextmanager
def gateway(data: Path, **environ: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Two gateway processes that share a port: its address, and their parent."""
    port = free_port()
    arguments = ["gateway", "--data", str(data), "--port", str(port), "--processes", "2"]
    with data.with_suffix(".log").open("ab") as log:
        process = started(arguments, stderr=log, **environ)
    try:
        assert process.stdout is not None
        assert "answers on" in process.stdout.readline(), data.with_suffix(".log").read_text()
        yield f"ws://127.0.0.1:{port}/connection/websocket", process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()


def url_of(address: Address) -> str:
    """The address of a database as one setting, password and all."""
    user, password, host, database = (quote(str(address.options[name]), safe="") for name in _NAMED)
    return f"postgresql://{user}:{password}@/{database}?host={host}"


def children_of(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that a process has started and not yet laid to rest."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def opened_rooms(client: httpx2.Client, people: dict[str, Person]) -> dict[str, list[str]]:
    """A group of everybody and a direct conversation of the first two, accepted by all: who is in each."""
    (ana, of_ana), (bob, of_bob), *_ = people.values()
    others = [id_ for id_, _ in people.values() if id_ != ana]
    group = must(client.post("/v1/conversations", json={"title": "Everybody", "members": others}, headers=of_ana))
    direct = must(client.put(f"/v1/users/{bob}/conversation", headers=of_ana))
    for id_, headers in people.values():
        if id_ != ana:
            must(client.put(f"/v1/conversations/{group['id']}/membership", headers=headers))
    must(client.post(f"/v1/conversations/{direct['id']}/messages", json={"body": "Hello"}, headers=of_ana))
    must(client.put(f"/v1/conversations/{direct['id']}/membership", headers=of_bob))
    return {group["id"]: list(people), direct["id"]: list(people)[:2]}


def must(response: httpx2.Response) -> Any:
    """The body of an answer that is no refusal."""
    assert response.is_success, f"{response.request.url}: {response.text}"
    return response.json() if response.content else None


def devices_of(client: httpx2.Client, at: Addresses, rooms: dict[str, list[str]]) -> Sequence[Device]:
    """Two devices for each of the people: one sends over the socket, one over HTTP."""
    devices: list[Device] = []
    for name in PEOPLE:
        mine = [room for room, members in rooms.items() if name in members]
        for number, over_http in enumerate((False, True)):
            credentials = {"email": f"{name}@example.org", "password": PASSWORD}
            token = must(client.post("/v1/sessions", json=credentials))["access_token"]
            devices.append(Device(f"{name}{number}", at, token, mine, over_http=over_http))
    return devices


@asynccontextmanager
async def chatting(
    at: Addresses, devices: Sequence[Device], rooms: dict[str, list[str]], people: dict[str, Person]
) -> AsyncIterator[None]:
    """Everybody writes while the block runs; at its end they finish what they have begun, and hear everything."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        lives = [tasks.create_task(device.live()) for device in devices]
        for device in devices:
            await device.is_here()
        writing = [tasks.create_task(device.write(stop)) for device in devices]
        yield
        stop.set()
        await asyncio.wait(writing)
        async with httpx2.AsyncClient(base_url=at.http, timeout=10) as client:
            for room, members in rooms.items():
                seen = must(await client.get(f"/v1/conversations/{room}", headers=people[members[0]][1]))
                await must_arrive_at(seen["last_change"], [d.copies[room] for d in devices if room in d.copies])
        for life in lives:
            life.cancel()


async def must_arrive_at(change: int, copies: Sequence[Copy]) -> None:
    """Every device has heard the last change: at once, or when the check of durable channels has found what was lost.

    That is within twice `realtime.check_durable_every`; a device that is just coming back has five seconds more.
    """
    async with asyncio.timeout(15):
        while any(copy.offset < change for copy in copies):
            await asyncio.sleep(0.01)


async def must_agree(
    at: Addresses, devices: Sequence[Device], rooms: dict[str, list[str]], people: dict[str, Person]
) -> None:
    """What is stored is what was acknowledged, what every device holds, and what is counted as unread."""
    async with httpx2.AsyncClient(base_url=at.http, timeout=10) as client:
        for room, members in rooms.items():
            stored = await history(client, room, people[members[0]][1])
            must_be_told(room, stored, devices)
            for name in members:
                await must_count_unread(client, room, stored, *people[name])


def must_be_told(room: str, stored: list[dict[str, Any]], devices: Sequence[Device]) -> None:
    """Numbers without a gap, each sending once, what was acknowledged as it was, and every copy like the original."""
    assert [message["seq"] for message in stored] == list(range(1, len(stored) + 1))
    named = [message["client_msg_id"] for message in stored if message.get("client_msg_id")]
    assert len(named) == len(set(named))
    by_seq = {message["seq"]: message for message in stored}
    for device in devices:
        sent = [draft for draft in device.drafts if draft.conversation_id == room]
        assert all(by_seq[draft.seq]["client_msg_id"] == draft.client_msg_id for draft in sent)
        if room in device.copies:
            copied = device.copies[room].messages
            assert copied
            assert copied == {seq: message for seq, message in by_seq.items() if seq >= min(copied)}


async def must_count_unread(
    client: httpx2.AsyncClient, room: str, stored: list[dict[str, Any]], user_id: str, headers: dict[str, str]
) -> None:
    """What the server derives is what a count over all messages gives."""
    conversation = must(await client.get(f"/v1/conversations/{room}", headers=headers))
    assert conversation["last_seq"] == len(stored)
    unread = [
        message
        for message in stored
        if message["seq"] > conversation["mine"]["read_seq"]
        and message.get("sender_id") != user_id
        and message["kind"] == "text"
        and not message.get("deleted_at")
    ]
    assert conversation["mine"]["unread"] == len(unread)


async def history(client: httpx2.AsyncClient, room: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """All messages of a conversation, oldest first, as who opens it anew would load them."""
    found: list[dict[str, Any]] = []
    while True:
        after = {"after": found[-1]["seq"] if found else 0, "limit": 100}
        page = must(await client.get(f"/v1/conversations/{room}/messages", params=after, headers=headers))
        found += page["items"]
        if not page["later"]:
            return found
