"""The decisions that a space is made of: one of several options, a whole number, or a decimal one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

Value = bool | int | Decimal | str | list[int]
"""What a decision may come to; a list is one of widths: [128, 32]."""


@dataclass(frozen=True)
class Condition:
    """A decision is taken only where an earlier one came to one of these values."""

    decision: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Choice:
    """One of several options.

    costs: by meter, what each option adds to the whole, whatever else is picked; a meter that is missing is free.
    """

    name: str
    options: tuple[Value, ...]
    costs: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    condition: Condition | None = None

    @property
    def size(self) -> int | None:
        """How many options there are."""
        return len(self.options)

    @property
    def distribution(self) -> BaseDistribution:
        """As samplers see it: options are text, a list as the paper prints it: '128,32'."""
        return CategoricalDistribution([text_of(option) for option in self.options])

    def suggest(self, trial: BaseTrial) -> Value:
        """The option that a trial picks."""
        by_text = {text_of(option): option for option in self.options}
        return by_text[trial.suggest_categorical(self.name, list(by_text))]

    def parameter(self, value: Value) -> str:
        """As samplers see an option."""
        return text_of(value)

    def costs_of(self, meter: str) -> tuple[int, ...]:
        """What each option adds on one meter."""
        return self.costs.get(meter, (0,) * len(self.options))


@dataclass(frozen=True)
class Integers:
    """A whole number from low to high, both included."""

    name: str
    low: int
    high: int
    step: int = 1
    log: bool = False
    condition: Condition | None = None

    @property
    def size(self) -> int | None:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1

    @property
    def distribution(self) -> BaseDistribution:
        """As samplers see it."""
        return IntDistribution(self.low, self.high, self.log, self.step)

    def suggest(self, trial: BaseTrial) -> Value:
        """The value that a trial picks."""
        return trial.suggest_int(self.name, self.low, self.high, step=self.step, log=self.log)

    def parameter(self, value: Value) -> int:
        """As samplers see a value."""
        assert isinstance(value, int)
        return value


@dataclass(frozen=True)
class Decimals:
    """A number from low to high, to six significant digits, as resources hold numbers."""

    name: str
    low: Decimal
    high: Decimal
    log: bool = False
    condition: Condition | None = None

    @property
    def size(self) -> int | None:
        """None: too many to count."""
        return None

    @property
    def distribution(self) -> BaseDistribution:
        """As samplers see it."""
        return FloatDistribution(float(self.low), float(self.high), self.log)

    def suggest(self, trial: BaseTrial) -> Value:
        """The value that a trial picks."""
        value = trial.suggest_float(self.name, float(self.low), float(self.high), log=self.log)
        return min(max(Decimal(f"{value:.6g}"), self.low), self.high)

    def parameter(self, value: Value) -> float:
        """As samplers see a value."""
        assert isinstance(value, Decimal)
        return float(value)


Decision = Choice | Integers | Decimals


def text_of(value: Value) -> str:
    """A value as a person writes it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
