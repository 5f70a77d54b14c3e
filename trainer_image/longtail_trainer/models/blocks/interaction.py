"""Products of profile and behavior: what a perceptron on their concatenation learns only slowly."""

from torch import Tensor, nn


class Interaction(nn.Module):
    """(batch, profile), (batch, behavior) → (batch, width): the elementwise product of both, each mapped linearly.

    A low-rank bilinear form. The weight of a behavior often depends on who shows it, and with this term a model
    finds that from few samples.
    """

    def __init__(self, profile: int, behavior: int, width: int) -> None:
        super().__init__()
        self.profile = nn.Linear(profile, width)
        self.behavior = nn.Linear(behavior, width)
        self.width = width

    def forward(self, profile: Tensor, behavior: Tensor) -> Tensor:
        return self.profile(profile) * self.behavior(behavior)

    def flops(self) -> int:
        """Both products of matrices, and one multiplication per output."""
        return 2 * (self.profile.in_features + self.behavior.in_features) * self.width + self.width
