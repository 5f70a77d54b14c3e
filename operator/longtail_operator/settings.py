"""What the operator was installed with: from the environment and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_api.addresses import StoreUri


class SettingsInvalid(Exception):
    """The installer must act: a setting is missing or has no meaning."""


@dataclass(frozen=True)
class Settings:
    """Every choice that belongs to the installation and not to a resource."""

    trainer_image: str
    serving_image: str
    image_pull_policy: str = "IfNotPresent"
    namespaces: tuple[str, ...] = ()
    """Namespaces to look after; none means all."""
    http_port: int = 8080
    """/healthz, /readyz and /metrics."""
    workers: int = 16
    resync_seconds: float = 900.0
    """Everything is listed and reconciled anew this often, for what a watch missed. An operator that has nothing to do
    asks for nothing else, and for less than one list a minute."""
    drain_seconds: float = 15.0
    """How long a replaced light version runs on after the Service turned away from it."""
    job_ttl_seconds: int = 86_400
    """How long a finished Job stays for a person to look at."""
    log_level: str = "INFO"
    concurrent_folds: int = 2
    """Processes that fold feedback at the same time, whatever the number of HeavyModels that are due."""
    concurrent_upgrades: int = 4
    """Scenarios that try a new serving image on what they serve at the same time."""
    allowed_stores: tuple[str, ...] = ()
    """Places (s3://bucket/prefix, file:///folder) that the operator may open as itself, without a HeavyModel's keys.

    What lies below one is allowed with it."""


def _addresses(text: str, variable: str) -> tuple[str, ...]:
    found = tuple(one.strip() for one in text.split(",") if one.strip())
    for one in found:
        try:
            StoreUri.parse(one)
        except ValueError as error:
            raise SettingsInvalid(f"{variable}: {one!r} {error}") from None
    return found


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Settings of the variables LONGTAIL_*. Raises `SettingsInvalid`, naming the variable."""

    def text(name: str, default: str | None = None) -> str:
        value = environment.get(f"LONGTAIL_{name}") or default
        if value is None:
            raise SettingsInvalid(f"LONGTAIL_{name} is not set; give the image's reference")
        return value

    def number(name: str, default: float, least: float) -> float:
        value = environment.get(f"LONGTAIL_{name}") or str(default)
        try:
            parsed = float(value)
        except ValueError:
            raise SettingsInvalid(f"LONGTAIL_{name}={value!r} is not a number") from None
        if parsed < least:
            raise SettingsInvalid(f"LONGTAIL_{name}={value!r} is below {least}")
        return parsed

    return Settings(
        trainer_image=text("TRAINER_IMAGE"),
        serving_image=text("SERVING_IMAGE"),
        image_pull_policy=text("IMAGE_PULL_POLICY", "IfNotPresent"),
        namespaces=tuple(name for name in text("NAMESPACES", ",").split(",") if name.strip()),
        http_port=int(number("HTTP_PORT", 8080, 0)),
        workers=int(number("WORKERS", 16, 1)),
        resync_seconds=number("RESYNC_SECONDS", 900.0, 1.0),
        drain_seconds=number("DRAIN_SECONDS", 15.0, 0.0),
        job_ttl_seconds=int(number("JOB_TTL_SECONDS", 86_400, 60)),
        log_level=text("LOG_LEVEL", "INFO"),
        concurrent_folds=int(number("CONCURRENT_FOLDS", 2, 1)),
        concurrent_upgrades=int(number("CONCURRENT_UPGRADES", 4, 1)),
        allowed_stores=_addresses(text("ALLOWED_STORES", ","), "LONGTAIL_ALLOWED_STORES"),
    )
