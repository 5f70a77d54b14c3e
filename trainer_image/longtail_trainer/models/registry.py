"""The families of models. A new one is one folder here and one line."""

from typing import Any

from longtail_trainer.models.alt_heavy.family import AltHeavyFamily
from longtail_trainer.models.alt_light.family import AltLightFamily
from longtail_trainer.models.dcn.family import DcnFamily
from longtail_trainer.models.dnn.family import DnnFamily
from longtail_trainer.models.family import Family, ServedFamily
from longtail_trainer.models.mmoe.family import MmoeFamily
from longtail_trainer.running.errors import ConfigInvalid

FAMILIES: dict[str, Family[Any]] = {
    family.name: family
    for family in (
        AltHeavyFamily(),
        AltLightFamily(),
        DnnFamily(),
        DcnFamily(),
        MmoeFamily(),
    )
}
"""By name."""


def family(name: str) -> Family[Any]:
    """Raises `ConfigInvalid` for a name of none."""
    if name not in FAMILIES:
        raise ConfigInvalid(f"model.family: there is no {name}; choose one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


def served_family(name: str) -> ServedFamily[Any]:
    """Raises `ConfigInvalid` for a name of none, or of one that is not served."""
    found = FAMILIES.get(name)
    if not isinstance(found, ServedFamily):
        served = ", ".join(one.name for one in FAMILIES.values() if isinstance(one, ServedFamily))
        raise ConfigInvalid(f"model.family: {name} is no family that can be served; choose one of {served}")
    return found
