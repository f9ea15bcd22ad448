"""Our histograms say what the library's would say of the same values."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Reference

from tenfold.platform.observe.histograms import Histogram

BUCKETS = (0.1, 1.0, 2.5)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0, 2.0, 2.5, 3.0]))))
def test_the_exposition_is_the_librarys(values: list[tuple[str, float]]) -> None:
    """Bounds included, series by series; only the library's creation times are left out."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Histogram("spans_seconds", "Spans.", ("kind",), buckets=BUCKETS, registry=ours)
    reference = Reference("spans_seconds", "Spans.", ("kind",), buckets=BUCKETS, registry=theirs)

    for kind, value in values:
        mine.labels(kind).observe(value)
        reference.labels(kind).observe(value)

    expected = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert sorted(generate_latest(ours).decode().splitlines()) == sorted(expected)


def test_a_series_that_observed_nothing_is_not_shown() -> None:
    """Hundreds of statements have one from their making; without labels there is but one, and its zero is a fact."""
    registry = CollectorRegistry()
    Histogram("spans_seconds", "Spans.", ("kind",), buckets=BUCKETS, registry=registry).labels("a")
    assert registry.get_sample_value("spans_seconds_count", {"kind": "a"}) is None

    bare = Histogram("waits_seconds", "Waits.", buckets=BUCKETS, registry=registry)
    bare.labels()
    assert registry.get_sample_value("waits_seconds_count") == 0
