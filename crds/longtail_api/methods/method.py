"""What a method is to the API: its name, and the configs of its steps."""

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_api.run_config import StepConfig


@dataclass(frozen=True)
class MethodApi:
    """One way in which scenarios share what they learn.

    name: as in `HeavyModel.spec.method`. configs: of the steps that are its own, by the step's name; a step's name is
    one method's alone, as it names the step's folder in the store. `prepare` is every method's.
    """

    name: str
    configs: Mapping[str, type[StepConfig]]
