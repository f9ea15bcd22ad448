"""The embedded server: who may run it, what survives a kill, and what is said when it cannot start."""

import asyncio
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.embedded import Address, EmbeddedPostgres
from tenfold.platform.db.embedded.place import Account, Place, find_binaries, why
from tests.postgres import binaries, fast_folder

# Another process that starts the server in a folder, says so, and then writes rows until it is killed.
_WRITER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from tenfold.platform.db.embedded import EmbeddedPostgres

async def main():
    named = Path(sys.argv[2]) if sys.argv[2] else None
    address = await EmbeddedPostgres(Path(sys.argv[1]), binaries=named).start()
    connection = await asyncpg.connect(**address.options)
    await connection.execute("create table if not exists kept (n integer)")
    for n in range(1_000_000):
        await connection.execute("insert into kept values ($1)", n)
        print(n, flush=True)

asyncio.run(main())
"""
# As an ordinary user: the account changes after the imports, which may lie where only root reads.
_ORDINARY = """
import asyncio, concurrent.futures.thread, encodings.idna, os, sys
from pathlib import Path
import asyncpg
from tenfold.kit.refusals import CannotStart
from tenfold.platform.db.embedded import EmbeddedPostgres

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

async def main():
    try:
        async with EmbeddedPostgres(Path(sys.argv[1]), binaries=Path(sys.argv[2])) as server:
            connection = await asyncpg.connect(**server.address.options)
            print(await connection.fetchval("select current_user"))
            await connection.close()
    except CannotStart as refusal:
        print(refusal)

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that every account can reach, as most are (pytest's own are closed to all but one)."""
    with tempfile.TemporaryDirectory(prefix="tenfold-data-", dir=fast_folder()) as made:
        path = Path(made)
        path.chmod(0o755)
        yield path


def embedded(folder: Path, named: Path | None = None) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, binaries=named or binaries(), settings={"fsync": "off"})


async def ask(address: Address, sql: str) -> object:
    connection = await asyncpg.connect(**address.options)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_server_keeps_to_itself_and_stops_with_its_owner(folder: Path) -> None:
    """Only a Unix socket in a 0700 folder, a password that only its owner reads, no trust, checksums, and no root."""
    server = embedded(folder)
    address = await server.start()
    pid = server.pid
    assert pid is not None
    rules = await ask(server.superuser, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules")
    settings = [
        await ask(address, f"show {name}") for name in ("listen_addresses", "data_checksums", "server_encoding")
    ]
    superuser = await ask(address, "select rolsuper from pg_roles where rolname = current_user")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(**{**address.options, "password": "guess"})
    run_folder = Path(address.options["host"])
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (run_folder, server.place.folder / "password")]
    owner = Path(f"/proc/{pid}").stat().st_uid

    await server.stop()

    assert (rules, settings, superuser) == ("scram-sha-256", ["", "on", "UTF8"], False)
    assert modes == [0o700, 0o600]
    assert owner != 0
    assert "password" not in address.dsn
    assert address.options["password"] not in address.dsn
    assert not runs(pid)


async def test_texts_sort_and_fold_the_same_everywhere(folder: Path) -> None:
    """By code point, with the case of all of Unicode, whatever the machine's own language is."""
    async with embedded(folder) as server:
        ordered = await ask(server.address, "select string_agg(w, '' order by w) from unnest('{b,Z,é,a}'::text[]) w")
        folded = await ask(server.address, "select lower('ÄÉΣ') = 'äéσ'")

    assert (ordered, folded) == ("Zabé", True)


async def test_a_second_start_is_refused_or_joins(folder: Path) -> None:
    """Two servers on one folder would destroy it; a short command beside the running one may use its server."""
    first, second, third = embedded(folder), embedded(folder), embedded(folder)
    await first.start()

    with pytest.raises(CannotStart, match=rf"Another Tenfold \(process {os.getpid()}\) is using the data folder"):
        await second.start()
    joined = await third.start(join=True)
    answer = await ask(joined, "select 1")
    await third.stop()

    assert answer == 1
    assert await ask(first.address, "select 1") == 1
    await first.stop()


async def test_a_killed_server_is_started_again(folder: Path) -> None:
    """The process in charge notices at once; what was committed is there."""
    async with embedded(folder) as server:
        await ask(server.address, "create table kept as select 7 as n")
        before = server.pid
        assert before is not None

        os.kill(before, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while (after := server.pid) == before or not await _answers(server.address):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

        assert after != before
        assert await ask(server.address, "select n from kept") == 7


async def _answers(address: Address) -> bool:
    try:
        return await ask(address, "select 1") == 1
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


@pytest.mark.parametrize("victims", ["owner", "owner and keeper", "owner, keeper and server"])
async def test_what_was_answered_survives_a_kill(folder: Path, victims: str) -> None:
    """kill -9 under write load, of any of the processes: the next start finds every row that was reported written."""
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WRITER, str(folder), str(binaries() or "")), stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    reported = [await writer.stdout.readline() for _ in range(50)]
    server = int((folder / "postgres/cluster/postmaster.pid").read_text().split()[0])
    keeper = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
    killed = [pid for pid, name in ((keeper, "keeper"), (server, "and server")) if name in victims]
    for pid in (writer.pid, *killed):
        os.kill(pid, signal.SIGKILL)
    reported += (await writer.stdout.read()).splitlines()
    await writer.wait()

    async with embedded(folder) as again:
        kept = await ask(again.address, "select max(n) from kept")

    assert isinstance(kept, int)
    assert kept >= int(reported[-1])
    assert not runs(server)


async def test_an_abandoned_server_stops_by_itself(folder: Path) -> None:
    """A killed process leaves nothing running behind, even when it is never started again."""
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WRITER, str(folder), str(binaries() or "")), stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    await writer.stdout.readline()
    server = int((folder / "postgres/cluster/postmaster.pid").read_text().split()[0])

    writer.kill()
    await writer.stdout.read()
    await writer.wait()
    deadline = time.monotonic() + 10
    while runs(server) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)

    assert not runs(server)


async def test_lock_files_that_name_a_stranger_are_passed_by(folder: Path) -> None:
    """After a crash of the machine the number in the file is some other program's, which is not harmed."""
    async with embedded(folder) as server:
        account = server.place.account()
    stranger = subprocess.Popen(["sleep", "60"], **account.for_popen())
    lock = folder / "postgres/cluster/postmaster.pid"
    lock.write_text(f"{stranger.pid}\n{lock.parent}\n0\n5432\n\n\n0 0\nready\n")

    async with embedded(folder) as server:
        answer = await ask(server.address, "select 1")

    assert answer == 1
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


async def test_a_folder_only_we_may_enter_will_do(tmp_path: Path) -> None:
    """Data below a closed folder, such as root's home, is reached by descriptor; its path may be of any length."""
    closed = tmp_path / ("deep" * 30)
    closed.mkdir(mode=0o700)

    async with embedded(closed) as server:
        answer = await ask(server.address, "select 1")
        host = Path(server.address.options["host"])

    assert answer == 1
    assert len(os.fsencode(host / ".s.PGSQL.5432")) <= 107
    assert not host.exists()


async def test_binaries_only_we_may_read_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtualenv under root's home is closed to the server's account, which then runs a copy."""
    monkeypatch.setattr(Account, "may_enter", lambda _, path: "site-packages" not in str(path.resolve()))

    copied = find_binaries(None, _prepared(folder), Account(65534, 65534, ours=False))
    said = subprocess.run([copied.program("initdb"), "-V"], check=True, capture_output=True, text=True)

    assert copied.folder.is_relative_to(folder)
    assert copied.version in said.stdout


async def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    """No root, no other account: the server runs as whoever starts it."""
    used = await asyncio.to_thread(_binaries_for_nobody, folder)
    folder.chmod(0o777)

    assert await _as_nobody(folder / "data", used) == "tenfold"


async def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    """One sentence with the folder and the remedy."""
    used = await asyncio.to_thread(_binaries_for_nobody, folder)
    folder.chmod(0o555)

    assert await _as_nobody(folder / "data", used) == (
        f"The data folder cannot be written: {folder / 'data'} (Permission denied); "
        "make it writable, or choose another data folder."
    )


def _binaries_for_nobody(folder: Path) -> Path:
    return binaries() or find_binaries(None, _prepared(folder), Account(65534, 65534, ours=False)).folder


async def _as_nobody(data: Path, used: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ORDINARY, str(data), str(used)), stdout=subprocess.PIPE, cwd="/"
    )
    said, _ = await process.communicate()
    return said.decode().strip()


def _prepared(folder: Path) -> Place:
    place = Place(folder / "postgres")
    place.prepare()
    return place


async def test_another_version_is_refused(folder: Path) -> None:
    """Postgres cannot read another major's files; the message says which one made them."""
    cluster = _prepared(folder).cluster
    cluster.mkdir(mode=0o700)
    (cluster / "PG_VERSION").write_text("12\n")
    if os.geteuid() == 0:
        os.chown(cluster, 65534, 65534)

    with pytest.raises(
        CannotStart, match=r"was made by Postgres 12, but this is Postgres 1\d; dump it with Postgres 12"
    ):
        await embedded(folder).start()


async def test_a_lost_password_is_named(folder: Path) -> None:
    """A data folder put together from two backups says so, instead of failing to connect for ever."""
    async with embedded(folder):
        pass
    (folder / "postgres/password").unlink()

    with pytest.raises(CannotStart, match="is not that of the database beside it"):
        await embedded(folder).start()


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, "The data folder cannot be written: /d/x (Read-only file system); make it writable"),
        (errno.ENOSPC, "The disk of the data folder /d is full; make room on it"),
        (errno.ENOTDIR, "/d/x is in the way: it is not a folder"),
        (errno.EIO, "The data folder /d cannot be used: "),
    ],
)
def test_trouble_with_the_disk_is_one_sentence(number: int, sentence: str) -> None:
    """What the operating system says becomes what is wrong, with what, and what to do."""
    message = str(why(OSError(number, os.strerror(number), "/d/x"), Path("/d")))

    assert message.startswith(sentence)


async def test_the_loop_stays_free_while_it_starts(folder: Path) -> None:
    """Making a cluster takes a second; the process answers its health checks meanwhile."""
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - started)

    watching = asyncio.create_task(watch())
    async with embedded(folder) as server:
        free = socket.socket(socket.AF_UNIX)
        free.connect(str(Path(server.address.options["host"]) / ".s.PGSQL.5432"))
        free.close()
    watching.cancel()

    assert len(gaps) > 20
