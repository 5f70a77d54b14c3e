"""Reading a run config: YAML or JSON in, the step's pydantic model out, or an error that names the field."""

from pathlib import Path
from typing import cast

import yaml
from pydantic import ValidationError

from longtail_api.run_config import CONFIG_VERSION, StepConfig
from longtail_trainer.running.errors import ConfigInvalid


def read_config(step: str, kind: type[StepConfig], path: Path) -> StepConfig:
    """The config of `step`, a `kind`, in the file at `path`. Raises `ConfigInvalid` that names file and field."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigInvalid(f"{path}: can't be read ({error.strerror}); give --config a readable file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path}: neither YAML nor JSON ({error})") from error
    if not isinstance(content, dict):
        raise ConfigInvalid(f"{path}: holds no mapping; write the fields of the {step} config, one a line")
    _refuse_newer(cast("dict[str, object]", content).get("configVersion"), path)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ConfigInvalid(f"{path}: {described(error)}") from error


def _refuse_newer(version: object, path: Path) -> None:
    """Before the fields are looked at: the first one that is new would be named as if somebody had misspelt it."""
    if isinstance(version, int) and version > CONFIG_VERSION:
        raise ConfigInvalid(
            f"{path}: is of config version {version}, this trainer image reads up to {CONFIG_VERSION}; use the image "
            "of the operator's release: set trainer.image to it, or leave it out",
            reason="ConfigVersionUnsupported",
        )


def described(error: ValidationError) -> str:
    """Every flaw of a config as `field 'split.test': what is wrong`, a semicolon between two."""
    return "; ".join(
        f"field {'.'.join(str(part) for part in flaw['loc']) or '(whole)'!r}: {flaw['msg']}"
        for flaw in error.errors(include_url=False)
    )
