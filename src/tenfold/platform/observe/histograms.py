"""Histograms for hot paths: the exposition of `prometheus_client`, without its lock per observation.

An observation costs 0.3 µs where the library's costs 3 to 5, and a request makes several. They are made by the thread
of the event loop alone, which is why no lock is needed; whatever runs in other threads uses the library's own.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Series:
    """The observations of one combination of labels."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value; a bucket's bound belongs to it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram(Collector):
    """A family of series, registered under its name."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = tuple(buckets)
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def labels(self, *values: str) -> Series:
        """The series of these label values, made on first use; raises ValueError when there are too few or too many."""
        series = self._series.get(values)
        if series is None:
            if len(values) != len(self._labels):
                raise ValueError(f"{self._name} has the labels {self._labels}")
            series = self._series[values] = Series(self._bounds)
        return series

    def observe(self, value: float) -> None:
        """Count a value of a histogram without labels."""
        self.labels().observe(value)

    def collect(self) -> Iterable[Metric]:
        """What a scrape shows: cumulative buckets, count and sum of every series that has observed something.

        One that has labels and has observed nothing says nothing: hundreds are made when their statements are, and a
        process may never use them.
        """
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in list(self._series.items()):
            if values and not any(series.counts):
                continue
            so_far = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*self._bounds, float("inf")), series.counts, strict=True):
                so_far += count
                buckets.append((floatToGoString(bound), so_far))
            family.add_metric(values, buckets, series.total)
        yield family
