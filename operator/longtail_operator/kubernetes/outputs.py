"""What a step that ended well says of its result, read as what the next decision needs of it.

The image is the user's, so that another release, or something else, may have written it: what is missing or means
nothing here fails the step, with the name of the field.
"""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from longtail_api.conditions import Reason
from longtail_api.store_objects import Termination
from longtail_operator.kubernetes.trouble import Trouble


class Outputs(BaseModel):
    """The outputs of one kind of step. A newer trainer may have more to say."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


Known = TypeVar("Known", bound=Outputs)


def outputs_of(model: type[Known], said: Termination) -> Known:
    """Raises pydantic's `ValidationError`; see `unusable`."""
    return model.model_validate(said.outputs)


def unusable(error: ValidationError) -> Trouble:
    """Why a step has failed that says it ended well."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "outputs"
    return Trouble(
        Reason.RESULT_UNUSABLE,
        f"it ended well, but its result can't be used: {field}: {first['msg']}; use the trainer's image of this "
        "operator's release, or one that says what that does, and start a new run",
    )
