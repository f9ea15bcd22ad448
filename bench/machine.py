"""What the machine says: its facts, and the processor time and memory of processes, from /proc."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = (
    "tenfold",
    "litestar",
    "uvicorn",
    "uvloop",
    "asyncpg",
    "msgspec",
    "fastapi",
    "sqlalchemy",
    "pydantic",
    "pyjwt",
)


def facts(packages: Iterable[str] = _PACKAGES) -> dict[str, object]:
    """The machine and the versions that a result belongs to."""
    cpu = Path("/proc/cpuinfo").read_text()
    memory = Path("/proc/meminfo").read_text().split()[1]
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in cpu.splitlines())}
    return {
        "cpu": _kind(said) or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 1024**2, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _kind(said: Mapping[str, str]) -> str:
    """Which processor it is: its name, and the numbers that tell generations of one name apart."""
    numbers = [f"{name} {said[name]}" for name in ("cpu family", "model", "cache size") if name in said]
    return " · ".join(filter(None, [said.get("model name"), ", ".join(numbers)]))


def processor_seconds(pid: int) -> float:
    """Processor time of a process and its threads so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def has_ended(pid: int) -> bool:
    """Whether a child that nobody has waited for is no more."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def family(pid: int) -> list[int]:
    """A process and its children: a Postgres server with all its backends."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *map(int, children.read_text().split())] if children.exists() else [pid]


class Stopwatch:
    """Processor time per process since the start, of two groups: a server, and the database with its backends."""

    def __init__(self, server: int, postgres: int) -> None:
        self._server = server
        self._postgres = postgres
        self._server_before = processor_seconds(server)
        self._before = {pid: processor_seconds(pid) for pid in family(postgres)}
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start, as the clock on the wall has them."""
        return time.perf_counter() - self._started

    def server(self) -> float:
        """Seconds of the server."""
        return processor_seconds(self._server) - self._server_before

    def postgres(self) -> float:
        """Seconds of the database; of a backend that ended meanwhile nothing is known."""
        return sum(processor_seconds(pid) - self._before.get(pid, 0.0) for pid in family(self._postgres))


def memory_mb(pid: int) -> dict[str, float]:
    """Resident memory of a process, and its proportional share (PSS), in megabytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"rss": sizes["Rss"] / 1024, "pss": sizes["Pss"] / 1024}


def user_memory_kb(pids: Iterable[int]) -> tuple[int, int]:
    """User memory of processes in KB, what they share counted once: all of it (PSS), and its anonymous part."""
    total = anonymous = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        total += sizes["Pss"]
        anonymous += sizes["Pss_Anon"]
    return total, anonymous


def kernel_memory_kb() -> dict[str, int]:
    """What the kernel holds, in KB: objects (slab), page tables, stacks, and the buffers of TCP sockets."""
    named = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    tcp = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    pages = int(tcp.split()[tcp.split().index("mem") + 1])
    return {
        "slab": named["Slab"],
        "page_tables": named["PageTables"],
        "stacks": named["KernelStack"],
        "tcp_buffers": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "available": named["MemAvailable"],
    }
