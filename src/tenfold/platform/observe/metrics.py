"""Every metric of the process, in one registry, named as Prometheus names them (base units, `_total`, `_seconds`)."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from tenfold.platform.observe.histograms import Histogram

registry = CollectorRegistry()

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

requests = Counter(
    "tenfold_http_requests", "Requests answered, by door and status.", ("door", "status"), registry=registry
)
request_seconds = Histogram(
    "tenfold_http_request_seconds", "Time to answer, by door.", ("door",), buckets=_FAST, registry=registry
)
pool_wait_seconds = Histogram(
    "tenfold_db_pool_wait_seconds",
    "Time a caller waited for a database connection.",
    ("pool",),
    buckets=_FAST,
    registry=registry,
)
statement_seconds = Histogram(
    "tenfold_db_statement_seconds", "Time of a database statement.", ("statement",), buckets=_FAST, registry=registry
)
transaction_retries = Counter(
    "tenfold_db_transaction_retries", "Transactions run again after a conflict.", ("reason",), registry=registry
)
cache_requests = Counter(
    "tenfold_cache_requests", "Cache look-ups, by cache and outcome.", ("cache", "outcome"), registry=registry
)
cache_bytes = Gauge("tenfold_cache_bytes", "Bytes held by the cache of this process.", registry=registry)
cache_evictions = Counter("tenfold_cache_evictions", "Entries dropped to make room.", registry=registry)
limit_decisions = Counter(
    "tenfold_limit_decisions", "Rate limit decisions, by limit and outcome.", ("limit", "outcome"), registry=registry
)
jobs_run = Counter("tenfold_jobs", "Jobs run, by job and outcome.", ("job", "outcome"), registry=registry)
job_seconds = Histogram("tenfold_job_seconds", "Time a job took.", ("job",), buckets=_FAST, registry=registry)
queue_depth = Gauge("tenfold_queue_depth", "Jobs waiting, by job.", ("job",), registry=registry)
queue_dead = Gauge("tenfold_queue_dead", "Dead letters, by job.", ("job",), registry=registry)
queue_age_seconds = Gauge("tenfold_queue_age_seconds", "Age of the oldest job that is due.", registry=registry)
redis_links = Gauge("tenfold_redis_links", "Connections to Redis servers that stand.", registry=registry)
sockets = Gauge("tenfold_realtime_sockets", "Open realtime connections.", registry=registry)
handshakes_refused = Counter(
    "tenfold_realtime_handshakes_refused",
    "Handshakes that became no connection, by status.",
    ("status",),
    registry=registry,
)
publications = Counter("tenfold_realtime_publications", "Messages published to channels.", registry=registry)
deliveries = Counter("tenfold_realtime_deliveries", "Messages handed to sockets.", registry=registry)
disconnects = Counter(
    "tenfold_realtime_disconnects", "Sockets closed by the server, by reason.", ("reason",), registry=registry
)
mails_sent = Counter(
    "tenfold_mails", "Mails handed to the engine, by template and outcome.", ("template", "outcome"), registry=registry
)
password_seconds = Histogram(
    "tenfold_password_hash_seconds", "Time in the password pool, waiting included.", buckets=_FAST, registry=registry
)
log_lines_dropped = Counter("tenfold_log_lines_dropped", "Log lines lost because nobody read them.", registry=registry)
