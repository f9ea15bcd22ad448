"""What the machine says: its facts, and the processor time and memory of processes, from /proc."""

import importlib.metadata
import os
import platform
import time
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


def facts() -> dict[str, object]:
    """The machine and the versions that a result belongs to."""
    cpu = Path("/proc/cpuinfo").read_text()
    memory = Path("/proc/meminfo").read_text().split()[1]
    models = {line.split(":", 1)[1].strip() for line in cpu.splitlines() if line.startswith("model name")}
    return {
        "cpu": ", ".join(sorted(models)) or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 1024**2, 1),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def processor_seconds(pid: int) -> float:
    """Processor time of a process and its threads so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


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
