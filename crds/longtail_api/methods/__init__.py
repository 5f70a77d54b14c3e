"""The methods: one module each, with the configs of its steps. A new one is one module and one line in `METHODS`."""

from longtail_api.methods.alt import ALT
from longtail_api.methods.method import MethodApi

METHODS: dict[str, MethodApi] = {method.name: method for method in (ALT,)}
"""By `HeavyModel.spec.method`."""

__all__ = ["METHODS", "MethodApi"]
