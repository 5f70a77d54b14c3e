"""What a method is to the API: its name, the configs of its steps, and what of the spec means nothing to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_api.run_config import StepConfig


@dataclass(frozen=True)
class Refusal:
    """A field of `HeavyModel.spec` that means nothing to a method, so that giving it is an error.

    field: its path below the spec, in the API's names (`metaUpdate.clipNorm`); a part with fields of its own is refused
    whole. It must be optional or have a default; the default itself can't be told from nothing, and is taken.
    """

    field: str
    remedy: str
    """What to do instead, such as `remove it`."""

    def words(self, method: str) -> str:
        return f"means nothing to method {method}; {self.remedy}"


@dataclass(frozen=True)
class MethodApi:
    """One way in which scenarios share what they learn.

    name: as in `HeavyModel.spec.method`. configs: of the steps that are its own, by the step's name; a step's name is
    one method's alone, as it names the step's folder in the store. `prepare` is every method's. refuses: what its
    HeavyModels may not say. distributed: its steps that train on several GPUs and nodes at once.
    """

    name: str
    configs: Mapping[str, type[StepConfig]]
    refuses: tuple[Refusal, ...] = ()
    distributed: frozenset[str] = frozenset()
