"""The manifests the demo applies: what a user would write by hand. Pure."""

from typing import Any

from longtail_api.base import API_VERSION

NAMESPACE = "longtail-demo"
BUCKET = "longtail-demo"
HEAVY_MODEL = "demo"
CREDENTIALS = "store-credentials"
POOL_LABEL = {"longtail-demo/pool": "initial"}

Manifest = dict[str, Any]


def heavy_model(schema: dict[str, Any], endpoint: str, pool_size: int, seed: int) -> Manifest:
    """The shared model: its store, its tables, its pool."""
    behaviors = {each["name"]: f"s3://{BUCKET}/data/behaviors/{each['name']}" for each in schema.get("behaviors", [])}
    return {
        "apiVersion": API_VERSION,
        "kind": "HeavyModel",
        "metadata": {"name": HEAVY_MODEL, "namespace": NAMESPACE},
        "spec": {
            "method": "ALT",
            "encoder": "LSTM",
            "schema": schema,
            "data": {
                "samples": f"s3://{BUCKET}/data/samples.parquet",
                "profile": f"s3://{BUCKET}/data/profile.parquet",
                "behaviors": behaviors,
            },
            "training": {"seed": seed},
            "initialization": {"scenarioSelector": {"matchLabels": POOL_LABEL}, "minScenarios": pool_size},
            "metaUpdate": {"mode": "Async", "bufferSize": 3, "flushIntervalSeconds": 15},
            "storage": {
                "uri": f"s3://{BUCKET}/store",
                "endpoint": endpoint,
                "credentialsSecretRef": {"name": CREDENTIALS},
            },
            "trainer": {
                "maxConcurrentRuns": 3,
                # One core each: torch takes as many threads as the limit says, and two cores serve three runs.
                "resources": {
                    "requests": {"cpu": "250m", "memory": "512Mi"},
                    "limits": {"cpu": "1", "memory": "3Gi"},
                },
            },
        },
    }


def pool_scenario(name: str) -> Manifest:
    """A Scenario that only contributes its data."""
    return _scenario(name, labels=POOL_LABEL, spec={})


def served_scenario(name: str, max_flops: int, p99_milliseconds: int) -> Manifest:
    """A Scenario that ends in a light model inside the budget, served behind an SLO."""
    return _scenario(
        name,
        labels={},
        spec={
            "budget": {"maxFlops": max_flops},
            "serving": {
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
                "slo": {"p99Milliseconds": p99_milliseconds},
            },
        },
    )


def _scenario(name: str, labels: dict[str, str], spec: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "Scenario",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"heavyModelRef": {"name": HEAVY_MODEL}, **spec},
    }
