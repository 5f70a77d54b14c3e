"""The methods: one folder or module each. A new one is that, and one line in `METHODS`."""

from longtail_api.heavy_model import HeavyModelSpec
from longtail_operator.methods.alt import Alt
from longtail_operator.methods.method import Method

METHODS: dict[str, Method] = {method.name: method for method in (Alt(),)}
"""By `HeavyModel.spec.method`."""


def method_of(spec: HeavyModelSpec) -> Method:
    """How this HeavyModel and its Scenarios work."""
    return METHODS[spec.method]
