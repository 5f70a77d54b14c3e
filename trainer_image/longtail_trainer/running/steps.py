"""The steps that a command knows: for each, the config it reads and the module that carries it out."""

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from longtail_api.methods import MethodApi
from longtail_api.run_config import PrepareConfig, StepConfig
from longtail_trainer.running.step import Step


@dataclass(frozen=True)
class StepModule:
    """A step. Its module is named, not imported, so that no step loads what another one needs."""

    config: type[StepConfig]
    module: str
    distributed: bool = False
    """Whether several processes can carry it out together."""

    def load(self) -> Step:
        """The step's function; imports its module, and with it what that step needs."""
        return importlib.import_module(self.module).run

    @property
    def summary(self) -> str:
        """What the step does, from its config's docstring."""
        return (self.config.__doc__ or "").partition("\n")[0].partition(": ")[2]


Steps = Mapping[str, StepModule]
"""By name."""


@dataclass(frozen=True)
class Method:
    """One method in the trainer: `api` names it and the configs of its steps, `modules` what carries each out.

    A module has `run(config, context) -> StepResult`. Raises `ValueError` where a step lacks one of the two.
    """

    api: MethodApi
    modules: Mapping[str, str]

    def __post_init__(self) -> None:
        if apart := self.api.configs.keys() ^ self.modules.keys():
            raise ValueError(f"method {self.api.name}: {', '.join(sorted(apart))} has no config, or no module")


PREPARE = StepModule(PrepareConfig, "longtail_trainer.data.prepare.step")
"""Every method's first step."""


def steps_of(methods: Iterable[Method]) -> Steps:
    """`prepare` and the steps of all methods. Raises `ValueError` where two of them name a step alike."""
    steps = {"prepare": PREPARE}
    for method in methods:
        for name, module in method.modules.items():
            if name in steps:
                raise ValueError(f"method {method.api.name}: another method has a step {name}; choose another name")
            steps[name] = StepModule(method.api.configs[name], module, name in method.api.distributed)
    return steps
