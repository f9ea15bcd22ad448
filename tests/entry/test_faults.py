"""What goes wrong at the start or with the disk is one sentence and exit code 1, and harms nothing that is stored."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tenfold.platform.db.embedded import EmbeddedPostgres
from tests.entry.running import Serving, give_to_nobody, refused, serving, signed_up, until

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def first(place: Path) -> Iterator[Serving]:
    """A server that runs, on a data folder that was new."""
    with serving(place / "first") as server:
        yield server


@pytest.fixture(scope="module")
def stopped(place: Path) -> Path:
    """A data folder that was in use before, with nobody in charge."""
    with serving(place / "stopped") as server:
        server.stop()
    return server.data


def must_be_one_sentence(code: int, said: str, *words: str) -> None:
    assert code == 1, said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said
    assert said.startswith("tenfold: ")
    for word in words:
        assert word in said


def test_a_second_server_on_the_same_data_folder_does_not_start(first: Serving) -> None:
    """Two supervisors of one database would harm it; the sentence names the process and the folder."""
    code, said = refused("serve", "--data", str(first.data))

    must_be_one_sentence(code, said, f"process {first.process.pid}", str(first.data))
    with first.client as client:
        assert client.get("/ready").status_code == 200


def test_a_taken_port_stops_the_start(first: Serving, place: Path) -> None:
    """Before anything is made: no database is created for a server that cannot listen."""
    port = first.url.rpartition(":")[2]

    code, said = refused("serve", "--data", str(place / "unused"), "--port", port)

    must_be_one_sentence(code, said, f"Port {port}", "--port")
    assert not (place / "unused" / "postgres").exists()


def test_a_port_of_the_system_stops_the_start_of_an_ordinary_user(place: Path) -> None:
    """An address that is not ours to take is told from one that is taken."""
    code, said = refused("serve", "--data", str(place / "unused"), "--host", "203.0.113.7")

    must_be_one_sentence(code, said, "203.0.113.7")


@pytest.mark.parametrize("what", ["folder", "parent"])
def test_a_data_folder_that_may_not_be_written_stops_the_start(place: Path, what: str) -> None:
    """The sentence names the path. Root may write everywhere, so this is an ordinary user."""
    data = give_to_nobody(place / f"read-only-{what}")
    data.chmod(0o555)

    code, said = refused("serve", "--data", str(data / "below" if what == "parent" else data), nobody=True)

    must_be_one_sentence(code, said, str(data), "denied")
    assert list(data.iterdir()) == []


def test_a_file_in_the_place_of_the_data_folder_stops_the_start(place: Path) -> None:
    """A path that was mistyped is named."""
    (place / "a-file").write_text("mine")

    code, said = refused("serve", "--data", str(place / "a-file"))

    must_be_one_sentence(code, said, str(place / "a-file"))
    assert (place / "a-file").read_text() == "mine"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TENFOLD_HTTP__PROT": "80"}, ["TENFOLD_HTTP__PROT", "did you mean TENFOLD_HTTP__PORT?"]),
        ({"TENFOLD_HTTP__PORT": "many"}, ["http.port must be a number", "text", "TENFOLD_HTTP__PORT"]),
        ({"TENFOLD_STAGE": "1"}, ["tokens.key must be given at stage 1"]),
        ({"TENFOLD_TOKENS__KEY": "hunter2"}, ["tokens.key"]),
        ({"TENFOLD_DATABASE__URL": "postgresql://ana:hunter2@127.0.0.1:1/x"}, ["does not answer"]),
    ],
)
def test_bad_settings_stop_the_start(place: Path, environ: dict[str, str], words: list[str]) -> None:
    """By their name, and never with a value that may be a secret."""
    code, said = refused("serve", "--data", str(place / "unused"), **environ)

    assert (code, said.count("\n"), "Traceback" in said) == (1, 1, False), said
    for word in words:
        assert word in said
    assert "hunter2" not in said


def test_a_full_disk_stops_the_start(place: Path) -> None:
    """Nothing half-made is left behind that a later start would stumble over."""
    with small_disk(place / "full", 100 * MEGABYTE) as disk:
        code, said = refused("serve", "--data", str(disk / "data"))

        must_be_one_sentence(code, said, "full", "make room")
        assert not list(disk.rglob("cluster"))


def test_a_disk_without_any_room_stops_the_start(place: Path) -> None:
    """Not even the secret of the installation can be written."""
    with small_disk(place / "brimful", MEGABYTE) as disk:
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free))

        code, said = refused("serve", "--data", str(disk / "data"))

        assert (code, said.count("\n"), "Traceback" in said) == (1, 1, False), said
        assert "No space left" in said


def test_a_disk_that_fills_while_serving_stops_writes_alone(place: Path) -> None:
    """Readiness says so, what is written is refused with 503 and not lost, reads go on; with room it all comes back."""
    with small_disk(place / "filling", 480 * MEGABYTE) as disk, serving(disk / "data") as server:
        with server.client as client:
            ana, headers = signed_up(client, "ana")
            post = client.post("/v1/posts", json={"body": "before"}, headers=headers).json()
            address = f"/v1/users/{ana}/posts/{post['id']}"
            ballast = disk / "ballast"
            fill(ballast, leaving=40 * MEGABYTE)

            assert until(lambda: client.put(f"{address}/bookmark", headers=headers).status_code == 503)
            assert client.get("/ready").status_code == 503
            assert [check["name"] for check in client.get("/ready").json()["checks"] if not check["passed"]] == ["disk"]
            refused_post = client.post("/v1/posts", json={"body": "during"}, headers=headers)
            assert (refused_post.status_code, refused_post.json()["code"]) == (503, "Unavailable")
            assert int(refused_post.headers["retry-after"]) >= 1
            for path in ("/v1/me", f"/v1/users/{ana}/posts", address, "/v1/timelines/home"):
                assert client.get(path, headers=headers).status_code == 200, path

            ballast.unlink()

            assert until(lambda: client.get("/ready").status_code == 200)
            assert until(lambda: client.post("/v1/posts", json={"body": "after"}, headers=headers).status_code == 201)
            bodies = [item["body"] for item in client.get(f"/v1/users/{ana}/posts", headers=headers).json()["items"]]
            assert (bodies[-1], set(bodies)) == ("before", {"before", "after"})
        assert "Traceback" not in server.log.read_text()
        assert server.stop() == 0


async def test_a_newer_schema_stops_the_start(stopped: Path) -> None:
    """A database that a newer version has changed is left as it is."""
    async with EmbeddedPostgres(stopped) as postgres:
        connection = await asyncpg.connect(**postgres.address.options)
        await connection.execute(
            "insert into schema_migrations select source, number + 1, 'from_tomorrow', checksum, kind, now(), 0"
            " from schema_migrations where source = 'feed' order by number desc limit 1"
        )
        await connection.close()
    try:
        code, said = await asyncio.to_thread(refused, "serve", "--data", str(stopped))

        must_be_one_sentence(code, said, "from_tomorrow", "newer version")
    finally:
        async with EmbeddedPostgres(stopped) as postgres:
            connection = await asyncpg.connect(**postgres.address.options)
            await connection.execute("delete from schema_migrations where name = 'from_tomorrow'")
            await connection.close()


def test_another_postgres_major_stops_the_start(stopped: Path) -> None:
    """A data folder of Postgres 15 is not opened by 18, and the sentence says how to bring it over."""
    version = stopped / "postgres" / "cluster" / "PG_VERSION"
    version.write_text("15\n")
    try:
        code, said = refused("serve", "--data", str(stopped))

        must_be_one_sentence(code, said, "Postgres 15", "Postgres 18")
    finally:
        version.write_text("18\n")


def test_after_all_that_the_folder_still_serves(stopped: Path) -> None:
    """A refused start changes nothing."""
    with serving(stopped) as server, server.client as client:
        assert client.get("/ready").status_code == 200
        assert server.stop() == 0
        assert until(lambda: server.postgres() == [])


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of a few megabytes, in memory. An ordinary user needs sudo for it, as for what `make test` installs."""
    folder.mkdir()
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    owner = f"uid={os.geteuid()},gid={os.getegid()}"
    options = ["-t", "tmpfs", "-o", f"size={size},mode=755,{owner}", "tmpfs"]
    subprocess.run([*as_root, "mount", *options, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*as_root, "umount", "-l", folder], check=True)


def fill(ballast: Path, *, leaving: int) -> None:
    """Use up the room of a disk, but for so many bytes."""
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(ballast.parent).free - leaving)
