"""What a step that ended well says of its result, read as what the next decision needs of it.

The image is the user's, so that another release, or something else, may have written it: what is missing or means
nothing here fails the step, with the name of the field.
"""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from longtail_api.conditions import Reason
from longtail_api.store_objects import StepResult, Termination
from longtail_operator.kubernetes.trouble import Trouble


class Outputs(BaseModel):
    """The outputs of one kind of step. A newer trainer may have more to say."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


Known = TypeVar("Known", bound=Outputs)


class Unusable(Exception):
    """A step has failed that says it ended well; `trouble` says why."""

    def __init__(self, why: str) -> None:
        self.trouble = Trouble(
            Reason.RESULT_UNUSABLE,
            f"it ended well, but its result can't be used: {why}; use the trainer's image of this operator's release, "
            "or one that says what that does, and start a new run",
        )
        super().__init__(self.trouble.message)


def outputs_of(model: type[Known], said: Termination) -> Known:
    """Raises `Unusable`."""
    readable = StepResult.readable()
    if said.result_version not in readable:
        raise Unusable(
            f"the trainer's image writes results of version {said.result_version}, this operator reads "
            f"{readable[0]} to {readable[-1]}"
        )
    try:
        return model.model_validate(said.outputs)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unusable(f"{'.'.join(map(str, first['loc'])) or 'outputs'}: {first['msg']}") from None
