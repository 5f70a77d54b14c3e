"""The factorization machine's interaction of fields."""

from typing import ClassVar

from torch import Tensor, nn

from longtail_trainer.operations.contract import Operation
from longtail_trainer.operations.shapes import Fields, Shape, Vector


class FactorizationMachineModule(nn.Module):
    """Σ over pairs i < j of xᵢ · xⱼ, elementwise: half of (Σ x)² − Σ x², which takes no pair by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.sum(1).square() - x.square().sum(1)) * 0.5


class FactorizationMachine(Operation[Fields]):
    """All pairs of fields into one vector (Rendle, *Factorization Machines*, 2010, Eq. 3), unsummed."""

    takes: ClassVar = (Fields,)

    def build(self, shape: Fields) -> tuple[nn.Module, Shape]:
        return FactorizationMachineModule(), Vector(shape.width)

    def flops(self, shape: Fields) -> int:
        """By channel: two sums over the fields, a square of each field and of the sum, the difference, its half."""
        return shape.width * (2 * (shape.count - 1) + shape.count + 1 + 2)
