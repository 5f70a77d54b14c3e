"""Fields of a pydantic model that a search changes, and the model as given where it doesn't."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, TypeVar

from pydantic import ValidationError

from longtail_api.base import ApiModel
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.spaces.decisions import Choice, Decimals, Decision, Integers, Value, text_of
from longtail_trainer.search.spaces.space import Point, Space, is_taken

Whole = TypeVar("Whole", bound=ApiModel)
_Part = TypeVar("_Part", bound=ApiModel)


@dataclass(frozen=True, kw_only=True)
class FieldSpace(Space[Whole]):
    """Decisions named after fields of the parts of a model: `training.learning_rate`.

    base: a model of parts, each a model; every field that no decision names keeps its value. Raises `ConfigInvalid`
    where a field is unknown, besides what every space raises.
    """

    base: Whole

    def __post_init__(self) -> None:
        super().__post_init__()
        for one in self.decisions:
            part, _, field = one.name.partition(".")
            known = self._parts()
            fields = [f"{name}.{each}" for name, model in known.items() for each in type(model).model_fields]
            if part not in known or field not in type(known[part]).model_fields:
                raise ConfigInvalid(f"decision {one.name}: there is no such field; choose of {', '.join(fields)}")

    def decode(self, point: Point) -> Whole:
        changes: dict[str, dict[str, Value]] = {}
        for name, value in point.items():
            part, _, field = name.partition(".")
            changes.setdefault(part, {})[field] = value
        parts = self._parts()
        return self.base.model_copy(update={part: _changed(parts[part], fields) for part, fields in changes.items()})

    def encode(self, decoded: Whole) -> Point:
        point: dict[str, Value] = {}
        for one in self.decisions:
            value = _value(decoded, one.name)
            if is_taken(one, point):
                if not _has(one, value):
                    raise ConfigInvalid(f"decision {one.name}: has no value {text_of(value)}; add it")
                point[one.name] = value
        return point

    def with_base(self) -> "FieldSpace[Whole]":
        """The space in which the base is a point, too: each decision that lacks the base's own value is given it."""
        return replace(self, decisions=tuple(_with(one, _value(self.base, one.name)) for one in self.decisions))

    def _parts(self) -> dict[str, ApiModel]:
        parts = {name: getattr(self.base, name) for name in type(self.base).model_fields}
        return {name: part for name, part in parts.items() if isinstance(part, ApiModel)}


def _value(whole: ApiModel, name: str) -> Value:
    part, _, field = name.partition(".")
    return getattr(getattr(whole, part), field)


def _has(decision: Decision, value: Value) -> bool:
    match decision:
        case Choice():
            return value in decision.options
        case Integers():
            assert isinstance(value, int)
            return decision.low <= value <= decision.high and (value - decision.low) % decision.step == 0
        case Decimals():
            assert not isinstance(value, str | list)
            return decision.low <= value <= decision.high


def _with(decision: Decision, value: Value) -> Decision:
    """The decision with one more value, where it lacks it; a range grows up to it."""
    if _has(decision, value):
        return decision
    match decision:
        case Choice():
            return replace(decision, options=(*decision.options, value))
        case Integers():
            assert isinstance(value, int)
            step = gcd(decision.step, abs(value - decision.low))
            return replace(decision, low=min(decision.low, value), high=max(decision.high, value), step=step)
        case Decimals():
            return replace(decision, low=min(decision.low, value), high=max(decision.high, value))


def _changed(base: _Part, changes: Mapping[str, Any]) -> _Part:
    """A validated copy with these fields changed."""
    try:
        return type(base).model_validate({**base.model_dump(), **changes})
    except ValidationError as error:
        reasons = "; ".join(str(one["msg"]) for one in error.errors())
        values = ", ".join(f"{name} {text_of(value)}" for name, value in changes.items())
        raise ConfigInvalid(f"{values} make no valid {type(base).__name__}: {reasons}") from error
