"""The one model a process serves: what is known of it, and whether requests are taken."""

from dataclasses import dataclass

from longtail_serving.infer_request import RequestReader
from longtail_serving.limits import Limits
from longtail_serving.model import Model


@dataclass
class Served:
    """Name and version are known from the start; the model once it is loaded and warm."""

    name: str
    version: str
    limits: Limits
    model: Model | None = None
    reader: RequestReader | None = None
    draining: bool = False
    """SIGTERM came: not ready any more, but what arrives is still answered."""

    def accept(self, model: Model) -> None:
        """From here on requests are answered by `model`."""
        self.reader = RequestReader(model.card, self.limits)
        self.model = model

    @property
    def ready(self) -> bool:
        return self.model is not None and not self.draining
