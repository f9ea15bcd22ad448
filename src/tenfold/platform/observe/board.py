"""The board: the metrics of several processes that were forked from one, so that whichever is asked answers for all.

Each process writes its own page (an unlinked file that all inherited), with a label `process`; any of them reads all
pages. Nothing is added up, so a process that was started again is a counter that began anew, as Prometheus expects.
"""

import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest

from tenfold.platform.observe import metrics

_HEAD = 12


class Board:
    """One page per process; make it before the fork."""

    def __init__(self, processes: int) -> None:
        self._pages = [tempfile.TemporaryFile() for _ in range(processes)]  # noqa: SIM115 - they live as long as we

    def write(self, process: int, registry: CollectorRegistry = metrics.registry) -> None:
        """Put the present metrics of this process on its page."""
        text = labelled(generate_latest(registry), process)
        head = len(text).to_bytes(8) + zlib.crc32(text).to_bytes(4)
        os.pwrite(self._pages[process].fileno(), head + text, 0)

    def erase(self, process: int) -> None:
        """Forget a process that has ended."""
        os.ftruncate(self._pages[process].fileno(), 0)

    def read(self) -> bytes:
        """The metrics of all processes, as Prometheus reads them."""
        return merged(filter(None, (_read(page.fileno()) for page in self._pages)))


def labelled(text: bytes, process: int) -> bytes:
    """Metrics with the label `process` in every sample."""
    return b"".join(_labelled(text.splitlines(keepends=True), b'process="%d"' % process))


def merged(pages: Iterable[bytes]) -> bytes:
    """Several texts of metrics as one, in which each metric is described once and its samples stand together."""
    metrics_: dict[bytes, list[bytes]] = {}
    for page in pages:
        for block in page.split(b"# HELP ")[1:]:
            about, _, rest = block.partition(b"\n")
            kind, _, samples = rest.partition(b"\n")
            metrics_.setdefault(b"# HELP %s\n%s\n" % (about, kind), []).append(samples)
    return b"".join(about + b"".join(samples) for about, samples in metrics_.items())


def _labelled(lines: Iterable[bytes], label: bytes) -> Iterator[bytes]:
    for line in lines:
        name_ends, labels_begin = line.find(b" "), line.find(b"{")
        if line.startswith(b"#"):
            yield line
        elif 0 <= labels_begin < name_ends:
            yield line[: labels_begin + 1] + label + b"," + line[labels_begin + 1 :]
        else:
            yield line[:name_ends] + b"{" + label + b"}" + line[name_ends:]


def _read(descriptor: int) -> bytes | None:
    """What is on a page; None when it is empty, or is being written just now, for the second time too."""
    for _ in range(2):
        page = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        text = page[_HEAD : _HEAD + int.from_bytes(page[:8])]
        if text and zlib.crc32(text) == int.from_bytes(page[8:_HEAD]):
            return text
    return None
