"""The command line: what it prints, where, and with which exit code; most of it run as people run it."""

import json
import os
import pty
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenfold.assembly import migration_sources
from tenfold.entry.cli import main
from tenfold.platform.audit import append, seal
from tenfold.platform.db import Database
from tenfold.platform.db.embedded import Address
from tenfold.platform.db.migration_files import read_source
from tenfold.platform.mail import Mail
from tenfold.platform.mail.folder import FolderMailer

HEAVY = ("pydantic", "litestar", "asyncpg", "pgqueuer", "rich", "msgspec", "uvicorn", "structlog")

Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run a command in this process: its exit code, its output and what it complains of."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tenfold", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def tenfold(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own."""
    program = [sys.executable, "-c", "from tenfold.entry.cli import main; main()", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False, env={**os.environ, **environ})


@pytest.fixture
def installation(database_address: Address, tmp_path: Path) -> dict[str, str]:
    """The environment of an installation on a database of its own."""
    return environment(database_address, tmp_path)


def environment(address: Address, folder: Path) -> dict[str, str]:
    options = address.options
    url = f"postgresql://{options['user']}:{options['password']}@/{options['database']}?host={options['host']}"
    return {"TENFOLD_DATABASE__URL": url, "TENFOLD_DATA": str(folder / "data")}


def test_help_is_there_at_once() -> None:
    """Nothing heavy is imported to print it, and it names every command."""
    program = f"""
import sys
from tenfold.entry.cli import main
sys.argv = ["tenfold", "--help"]
try:
    main()
except SystemExit as ended:
    assert ended.code == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout.endswith("[]\n")
    for command in ("serve", "web", "gateway", "worker", "migrate", "sample", "show", "user", "mail", "jobs"):
        assert command in ended.stdout
    assert "\x1b" not in ended.stdout


@pytest.mark.parametrize("no_color", ["", "1"])
def test_help_has_colours_on_a_terminal_only(no_color: str) -> None:
    """A terminal gets them unless NO_COLOR is set."""
    terminal, end = pty.openpty()
    program = [sys.executable, "-c", "from tenfold.entry.cli import main; main()", "--help"]

    subprocess.run(program, stdout=end, check=True, env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm"})
    os.close(end)

    assert (b"\x1b[" in os.read(terminal, 100_000)) is (no_color == "")
    os.close(terminal)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["serv"], "Did you mean 'serve'"),
        (["serve", "--port", "x"], "--port"),
        (["jobs", "replay"], "name the ids"),
        (["show", "audit", "--limit", "0"], "--limit"),
    ],
)
def test_wrong_usage_is_exit_code_2(here: Here, arguments: list[str], complaint: str) -> None:
    """Scripts tell a mistake in the command from a refusal."""
    code, out, err = here(*arguments)

    assert (code, out) == (2, "")
    assert complaint in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "settings", "--config", "absent.toml"], "Settings: there is no file absent.toml"),
        (["user", "list", "--data", "typo"], "no database in typo"),
        (["migrate", "--status", "--data", "typo"], "no database in typo"),
        (["mail", "show", "nothing"], "There is no mail nothing"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_code_1(
    here: Here, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    """No traceback for what its reader can set right, and nothing is made on the way."""
    code, out, err = here(*arguments)

    assert (code, out) == (1, "")
    assert err.startswith("tenfold: ")
    assert complaint in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_bad_settings_are_told_all_at_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start stops with every fault and the nearest names."""
    monkeypatch.setenv("TENFOLD_HTTP__PROT", "1")
    monkeypatch.setenv("TENFOLD_STAGE", "nine")

    code, _, err = here("serve")

    assert code == 1
    assert "did you mean TENFOLD_HTTP__PORT?" in err
    assert "stage must be" in err


@pytest.mark.parametrize("what", ["routes", "events", "jobs", "schedule", "statements", "limits", "settings"])
def test_what_the_house_is_made_of_is_shown(here: Here, what: str) -> None:
    """For eyes every row is a line that is cut nowhere; for programs it is JSON with the same rows."""
    code, table, _ = here("show", what)
    rows: list[dict[str, Any]] = json.loads(here("show", what, "--json")[1])

    assert code == 0
    assert rows
    assert len(table.splitlines()) == len(rows) + 1
    assert all(str(next(iter(row.values()))) in table for row in rows)
    assert "\x1b" not in table


def test_every_door_says_whom_it_is_for(here: Here) -> None:
    """The list of routes is where one looks for what a stranger can reach."""
    rows = {f"{row['method']} {row['path']}": row for row in json.loads(here("show", "routes", "--json")[1])}

    assert rows["POST /v1/accounts"]["for"] == "anybody"
    assert rows["GET /v1/me"]["for"] == "signed in"
    assert {row["for"] for path, row in rows.items() if "/admin/" in path} <= {"admin", "moderator or admin"}


def test_settings_show_no_secret(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are only said to be set, and where."""
    secret = "a-secret-that-nobody-may-ever-see"
    monkeypatch.setenv("TENFOLD_TOKENS__KEY", secret)
    monkeypatch.setenv("TENFOLD_DATABASE__URL", f"postgresql://u:{secret}@h/db")

    shown = here("show", "settings")[1] + here("show", "settings", "--json")[1]

    assert secret not in shown
    assert "(set)" in shown


async def test_mails_of_the_folder_are_listed_and_read(here: Here, tmp_path: Path) -> None:
    """Without a mail server this is where the codes are found."""
    mailer = FolderMailer(tmp_path / "data" / "mail", "Tenfold <no-reply@localhost>")
    for subject in ("First", "Second"):
        await mailer.send(Mail(to="ana@example.org", subject=subject, text=f"{subject}: your code is 42.", html="<p>"))

    listed = json.loads(here("mail", "list", "--data", "data", "--json")[1])
    newest = here("mail", "show", "--data", "data")[1]
    oldest = here("mail", "show", listed[1]["id"][-12:], "--data", "data")[1]

    assert [mail["subject"] for mail in listed] == ["Second", "First"]
    assert "Second: your code is 42." in newest
    assert "To: ana@example.org" in oldest
    assert "First: your code" in oldest


async def test_a_database_without_a_schema_is_brought_to_it(empty_address: Address, tmp_path: Path) -> None:
    """`migrate` says what it does, does it once, and until then nothing else works on that database."""
    environ = environment(empty_address, tmp_path)

    early = tenfold("user", "list", **environ)
    planned = [migration.label for source in migration_sources() for migration in read_source(source)]
    first = tenfold("migrate", **environ)
    second = tenfold("migrate", **environ)

    assert early.returncode == 1
    assert "tenfold migrate" in early.stderr
    assert [line.split()[1] for line in first.stdout.splitlines()] == planned
    assert second.stdout == "The schema is this version's; there was nothing to apply.\n"


async def test_a_broken_database_address_is_one_sentence(installation: dict[str, str]) -> None:
    """A wrong password is not a bug of ours, and is not repeated."""
    url = installation["TENFOLD_DATABASE__URL"]
    password = url.split(":")[2].split("@")[0]

    ended = tenfold("user", "list", **{**installation, "TENFOLD_DATABASE__URL": url.replace(password, "wrong-one")})

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "wrong-one" not in ended.stderr


async def test_a_changed_audit_line_is_exit_code_3(installation: dict[str, str], database: Database) -> None:
    """A check that finds a fault is told from one that could not be made."""
    async with database.write() as tx:
        await append(tx, "test.deed", actor_id=None, subject_id=None, details={"n": 1}, address=None)
    async with database.write() as tx:
        await seal(tx)

    whole = tenfold("show", "audit", "--verify", **installation)
    async with database.write() as tx:
        await tx.connection.execute("alter table audit_log disable trigger user")
        await tx.connection.execute("""update audit_log set details = '{"n": 2}'""")
    broken = tenfold("show", "audit", "--verify", **installation)

    assert (whole.returncode, whole.stdout.splitlines()[0]) == (0, "The chain holds: 1 lines sealed, 0 not yet.")
    assert broken.returncode == 3
    assert "broken at line 1: changed" in broken.stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`tenfold show statements | head -1` prints one line and no traceback."""
    program = f"{sys.executable} -c 'from tenfold.entry.cli import main; main()' show statements --sql | head -1"

    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)

    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == ""


def test_commands_work_beside_a_running_server_and_without_one(tmp_path: Path) -> None:
    """The embedded database is joined while `serve` runs, and started for the moment when nothing does."""
    data = str(tmp_path / "data")
    program = [
        sys.executable,
        "-c",
        "from tenfold.entry.cli import main; main()",
        "serve",
        "--data",
        data,
        "--port",
        "0",
    ]
    account = {"email": "kim@example.org", "password": "seven tall cedars 88", "handle": "kim", "name": "Kim"}
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        request = urllib.request.Request(
            f"{url}/v1/accounts", json.dumps(account).encode(), {"content-type": "application/json"}
        )
        urllib.request.urlopen(request).close()

        granted = tenfold("user", "grant-admin", "kim@example.org", "--data", data)
        second = tenfold("serve", "--data", data, "--port", "0")
        server.send_signal(signal.SIGTERM)
        server.communicate()
    shown = tenfold("user", "show", "kim", "--data", data, "--json")

    assert granted.returncode == 0, granted.stderr
    assert (second.returncode, len(second.stderr.splitlines())) == (1, 1)
    assert server.returncode == 0
    assert json.loads(shown.stdout)["role"] == "admin"
