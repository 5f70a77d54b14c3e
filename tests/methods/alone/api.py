"""What the method is to the API: its name, and the config of its one step."""

from typing import Annotated, Literal

from pydantic import Field

from longtail_api.methods.method import MethodApi
from longtail_api.run_config import StepConfig


class TrainAloneConfig(StepConfig):
    """train-alone: a light model from one scenario's own rows."""

    step: Literal["train-alone"] = "train-alone"
    manifest: str
    """Manifest key of the scenario's data."""
    light_version: str
    epochs: Annotated[int, Field(ge=1)] = 10
    max_flops: Annotated[int, Field(ge=1)] | None = None


API = MethodApi(name="Alone", configs={"train-alone": TrainAloneConfig})
