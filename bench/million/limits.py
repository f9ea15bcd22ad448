"""What the system must allow for a run: read and printed, never set."""

import resource
from pathlib import Path

_READ = (
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_mem",
    "net/ipv4/tcp_max_syn_backlog",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "fs/nr_open",
    "fs/file-max",
    "kernel/pid_max",
    "vm/overcommit_memory",
)


def read() -> dict[str, str]:
    """The limits that matter here, by name."""
    found = {"RLIMIT_NOFILE": str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])}
    for name in _READ:
        path = Path("/proc/sys") / name
        if path.exists():
            found[name.replace("/", ".")] = " ".join(path.read_text().split())
    return found


def complaints(limits: dict[str, str], connections: int, files: int) -> list[str]:
    """What stands in the way, and how it is set. `files`: descriptors that one process needs."""
    found: list[str] = []
    sockets = 2 * connections
    if int(limits["RLIMIT_NOFILE"]) < files:
        found.append(f"a process may open {limits['RLIMIT_NOFILE']} files, {files} are needed: ulimit -n {files}")
    if int(limits["fs.file-max"]) < sockets + 50_000:
        found.append(f"the system may open {limits['fs.file-max']} files: sysctl -w fs.file-max={sockets + 50_000}")
    if int(limits["net.core.somaxconn"]) < 1024:
        found.append("the queue of new connections is short: sysctl -w net.core.somaxconn=4096")
    tracked = int(limits.get("net.netfilter.nf_conntrack_count", "0"))
    if tracked and int(limits["net.netfilter.nf_conntrack_max"]) < connections + 10_000:
        found.append(
            f"connections are tracked ({tracked} now) and there is no room for all: "
            f"sysctl -w net.netfilter.nf_conntrack_max={connections + 50_000}, or exempt the loopback device"
        )
    pages = int(limits["net.ipv4.tcp_mem"].split()[2])
    if pages * 4 < connections * 0.8:
        needed = connections // 4
        found.append(
            f"TCP may buffer {pages // 256} MB, a broadcast to all needs about {connections // 1000} MB: "
            f"sysctl -w net.ipv4.tcp_mem='{needed // 2} {needed * 3 // 4} {needed}'"
        )
    return found
