"""What Prometheus reads at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The process' metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.request_seconds = Histogram(
            "longtail_serving_request_seconds",
            "Seconds from an inference request's arrival to its answer, by outcome",
            ["outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.requests = Counter(
            "longtail_serving_requests", "Inference requests by outcome", ["outcome"], registry=self.registry
        )
        self.inference_seconds = Histogram(
            "longtail_serving_inference_seconds",
            "Seconds inside ONNX Runtime, per request",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "longtail_serving_batch_rows", "Rows of an inference request", buckets=_ROWS, registry=self.registry
        )
        self.not_finite = Counter(
            "longtail_serving_not_finite_scores", "Scores that were NaN or infinite", registry=self.registry
        )
        self.in_flight = Gauge(
            "longtail_serving_requests_in_flight", "Inference requests under way", registry=self.registry
        )
        self.ready = Gauge("longtail_serving_ready", "1 where the model is loaded and taken", registry=self.registry)
        self.model = Info("longtail_serving_model", "The model that is served", registry=self.registry)
