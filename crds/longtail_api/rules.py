"""Rules that span fields: written once beside the model, checked by the API server as CEL.

A model's validators say the same in Python, for run configs and files that no API server has seen.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One entry of `x-kubernetes-validations`. `self` in `cel` is the model that lists the rule."""

    cel: str
    message: str
    """What is wrong and what to do; the API server puts the field's path before it."""
    field: str | None = None
    """Path of the field to blame, below the model: `storage.uri`. Without it, the model itself is blamed."""

    def to_validation(self) -> dict[str, str]:
        validation = {"rule": self.cel, "message": self.message}
        if self.field is not None:
            validation["fieldPath"] = f".{self.field}"
        return validation


def immutable(field: str, instead: str, optional: bool = False, once: str | None = None) -> Rule:
    """`field` of the model keeps the value it was created with; `instead` says what to do for another one.

    once: a condition in CEL, of `oldSelf`; until it holds, the field may change.
    """
    same = f"self.{field} == oldSelf.{field}"
    if optional:
        same = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {same})"
    return Rule(same if once is None else f"!({once}) || ({same})", f"is immutable; {instead}", field)


def comparing(condition: str, *fields: str) -> str:
    """`condition` about number fields of the model, written `{field}` in it; true where one of them is no number.

    That one gets the message of its own type, and a second one about a comparison would only confuse.
    """
    numbers = {field.rpartition(".")[2]: f"quantity(string(self.{field}))" for field in fields}
    guards = [f"!isQuantity(string(self.{field}))" for field in fields]
    return " || ".join([*guards, condition.format(**numbers)])
