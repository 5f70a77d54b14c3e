"""Prometheus metrics of the operator itself."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("longtail_reconciles_total", "Reconciliations by kind and outcome", ["kind", "outcome"])
RECONCILE_SECONDS = Histogram(
    "longtail_reconcile_seconds", "Duration of one reconciliation", ["kind"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0),
)  # fmt: skip
QUEUE_LENGTH = Gauge("longtail_queue_length", "Keys that wait for a worker")
OBJECTS = Gauge("longtail_snapshot_objects", "Objects in memory")
FOLDS = Counter("longtail_folds_total", "Meta-update processes by outcome", ["outcome"])
FEEDBACK = Counter("longtail_feedback_total", "Feedback settled by this process", ["outcome"])
AGNOSTIC_VERSION = Gauge("longtail_agnostic_version", "Newest committed version", ["namespace", "heavy_model"])
PENDING_FEEDBACK = Gauge("longtail_feedback_pending", "Feedback that waits", ["namespace", "heavy_model"])
