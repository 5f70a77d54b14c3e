"""Run configs: what the operator hands to a training container, by a ConfigMap, and a person by a file.

`longtail-trainer <step> --config FILE` reads the model of that step (YAML or JSON). Credentials are never in
a config: they come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY).
"""

from enum import IntEnum
from typing import Annotated, Literal

from pydantic import Field

from longtail_api.addresses import ENDPOINT, REGION
from longtail_api.base import ApiModel, DataUri
from longtail_api.data_schema import DataSchema
from longtail_api.shared_specs import Device


class ExitCode(IntEnum):
    """Exit codes of a training container (sysexits.h). The Job's failure policy retries the others."""

    SUCCEEDED = 0
    CONFIG_INVALID = 64
    """Permanent: the run config is wrong."""
    DATA_INVALID = 65
    """Permanent: the user's tables are wrong."""
    UNREACHABLE_GOAL = 66
    """Permanent: what is asked for can't be (BudgetUnreachable)."""
    BUG = 70
    """Retried: an error nobody foresaw."""
    RETRYABLE = 75
    """Retried: the store or the machine failed."""
    TERMINATED = 143
    """Retried: SIGTERM; the next attempt resumes."""


PERMANENT_EXIT_CODES = (ExitCode.CONFIG_INVALID, ExitCode.DATA_INVALID, ExitCode.UNREACHABLE_GOAL)


class StoreAddress(ApiModel):
    """Where the store is; as `HeavyModel.spec.storage`, without credentials."""

    uri: DataUri
    endpoint: Annotated[str, ENDPOINT] | None = None
    region: Annotated[str, REGION] = "us-east-1"
    path_style: bool = True
    ca_bundle_file: str | None = None


CONFIG_VERSION = 1
"""Of the run configs. It rises with whatever an older trainer image must not pass over; such an image says so."""


class StepConfig(ApiModel):
    """What every step has."""

    # Left out where it is 1: images from before there was any take no field that they don't know.
    config_version: Annotated[int, Field(ge=1, exclude_if=lambda version: version == 1)] = CONFIG_VERSION
    """Version of the config; an image reads it up to its own."""
    store: StoreAddress
    identity: str
    """Hash of the step's inputs. A result of another identity is not this step's."""
    owner: str
    """Scenario key, or `agnostic`."""
    run: Annotated[int, Field(ge=1)]
    seed: int = 0
    device: Device = "Auto"
    """Where models are trained: Auto is a GPU where the container has one."""
    threads: int | None = None
    """Threads of torch and polars; by default what the container may use."""


class PrepareConfig(StepConfig):
    """prepare: the three tables in, one data version out."""

    step: Literal["prepare"] = "prepare"
    data_schema: Annotated[DataSchema, Field(alias="schema")]
    samples: DataUri
    profile: DataUri | None = None
    behaviors: dict[str, DataUri] = {}
    source_key: str
    """Value of the column `scenario`."""
    data_version: str
    query_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the training rows that become the query set."""
    max_requests: Annotated[int, Field(ge=1)] = 500
    """Test rows written to requests.jsonl."""
    data_store: StoreAddress | None = None
    """How to reach s3:// tables, where not as the store."""
