"""What the search of the pre-designed heavy model varies: fields of its Architecture and Training (ALT, Fig. 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import prod
from typing import Any, Literal, TypeVar, cast

from optuna.trial import BaseTrial
from pydantic import ValidationError

from longtail_api.architecture import Architecture, Training
from longtail_api.base import ApiModel
from longtail_api.initialization_search import HyperparameterSpace
from longtail_trainer.running.errors import ConfigInvalid

Value = int | Decimal | str | list[int]
_Part = TypeVar("_Part", bound=ApiModel)
Part = Literal["architecture", "training"]
PARTS: dict[Part, type[ApiModel]] = {"architecture": Architecture, "training": Training}


@dataclass(frozen=True)
class Choices:
    """One of several values; lists of widths are allowed: [128, 32]."""

    part: Part
    field: str
    values: Sequence[Value]

    @property
    def size(self) -> int | None:
        """How many values there are."""
        return len(self.values)

    def suggest(self, trial: BaseTrial) -> Value:
        """One of the values; optuna sees a list as text, as the paper prints it: '128,32'."""
        by_text = {_text(value): value for value in self.values}
        return by_text[trial.suggest_categorical(name_of(self), list(by_text))]


@dataclass(frozen=True)
class Integers:
    """An integer from low to high, both included."""

    part: Part
    field: str
    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def size(self) -> int | None:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1

    def suggest(self, trial: BaseTrial) -> Value:
        """A value of the range."""
        return trial.suggest_int(name_of(self), self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Decimals:
    """A number from low to high, to six significant digits, as resources hold numbers."""

    part: Part
    field: str
    low: Decimal
    high: Decimal
    log: bool = False

    @property
    def size(self) -> int | None:
        """None: too many to count."""
        return None

    def suggest(self, trial: BaseTrial) -> Value:
        """A value of the range."""
        value = trial.suggest_float(name_of(self), float(self.low), float(self.high), log=self.log)
        return min(max(Decimal(f"{value:.6g}"), self.low), self.high)


Hyperparameter = Choices | Integers | Decimals


@dataclass(frozen=True)
class Candidate:
    """What one trial trains: the architecture, and how."""

    architecture: Architecture
    training: Training


@dataclass(frozen=True)
class Space:
    """Hyper-parameters by the fields they change; every other field keeps the value of the base.

    Raises `ConfigInvalid` where there is none, where a field is unknown or named twice, or a range is empty.
    """

    hyperparameters: Sequence[Hyperparameter]

    def __post_init__(self) -> None:
        if not self.hyperparameters:
            raise ConfigInvalid("the hyper-parameter space is empty; name at least one hyper-parameter")
        names = [name_of(one) for one in self.hyperparameters]
        for one, name in zip(self.hyperparameters, names, strict=True):
            known = PARTS[one.part].model_fields
            if one.field not in known:
                raise ConfigInvalid(f"hyper-parameter {name}: there is no such field; choose of {', '.join(known)}")
            if names.count(name) > 1:
                raise ConfigInvalid(f"hyper-parameter {name}: is named twice; keep one")
            if isinstance(one, Choices) and len(set(map(_text, one.values))) < len(one.values):
                raise ConfigInvalid(f"hyper-parameter {name}: a value stands there twice; keep one")
            if (not one.values) if isinstance(one, Choices) else one.low > one.high:
                raise ConfigInvalid(
                    f"hyper-parameter {name}: has no value; give choices, or a low that is at most high"
                )

    @property
    def size(self) -> int | None:
        """How many candidates there are; None where a number is continuous."""
        sizes = [one.size for one in self.hyperparameters]
        return None if None in sizes else prod(cast(list[int], sizes))

    def suggest(self, trial: BaseTrial, base: Candidate) -> Candidate:
        """The trial's candidate. Raises `ConfigInvalid` where its values don't go together."""
        changes: dict[Part, dict[str, Value]] = {"architecture": {}, "training": {}}
        for one in self.hyperparameters:
            changes[one.part][one.field] = one.suggest(trial)
        return Candidate(
            _changed(base.architecture, changes["architecture"]), _changed(base.training, changes["training"])
        )


def name_of(hyperparameter: Hyperparameter) -> str:
    """Its name in the study: `architecture.profile_layers`."""
    return f"{hyperparameter.part}.{hyperparameter.field}"


def _text(value: Value) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def space_of(spec: HyperparameterSpace) -> Space:
    """The space that a HeavyModel's `initialization.search` names."""
    return Space(
        [
            Choices("training", "learning_rate", spec.learning_rate),
            Choices("architecture", "profile_layers", spec.profile_layers),
            Choices("architecture", "behavior_layers", spec.behavior_layers),
            Choices("architecture", "prediction_layers", spec.prediction_layers),
        ]
    )


PAPER_SPACE = space_of(HyperparameterSpace())
"""ALT, Fig. 3, and the default: `learning_rate`, `deep_layers_dim`, `num_encoder_in_transformer` (here of either kind
of encoder) and `prediction_module_dim`. 36 candidates."""


def _changed(base: _Part, changes: Mapping[str, Any]) -> _Part:
    """A validated copy with these fields changed."""
    try:
        return type(base).model_validate({**base.model_dump(), **changes})
    except ValidationError as error:
        reasons = "; ".join(str(one["msg"]) for one in error.errors())
        values = ", ".join(f"{name} {_text(value)}" for name, value in changes.items())
        raise ConfigInvalid(f"{values} make no valid {type(base).__name__}: {reasons}") from error
