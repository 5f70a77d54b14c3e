"""What a scenario is like, as one vector: by its attributes, and by the scenarios that it resembles (SAMD, 4.2)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from longtail_trainer.methods.samd.swing import Indices


class ScenarioRepresentation(nn.Module):
    """T of all scenarios (Eq. 2, 4 and 5), with tanh for τ, and no bias.

    attributes: of each scenario, by name. An attribute that a scenario doesn't have is one more value of it, and where
    nobody has any, who a scenario is stands in their place. neighbors: of each scenario those that it resembles most,
    by their numbers; one that resembles none has an implicit part of 0, and the explicit one stands alone.
    """

    def __init__(
        self,
        attributes: Sequence[Mapping[str, str]],
        neighbors: Sequence[Indices],
        width: int,
        embedding_size: int,
    ) -> None:
        super().__init__()
        values, indices = _indexed(attributes)
        self.embeddings = nn.ModuleList(nn.Embedding(count, embedding_size) for count in values)
        self.explicit_map = nn.Linear(len(values) * embedding_size, width, bias=False)
        self.implicit_map = nn.Linear(width, width, bias=False)
        self.joint_map = nn.Linear(2 * width, width, bias=False)
        pooling = torch.zeros(len(attributes), len(attributes))
        for scenario, others in enumerate(neighbors):
            if len(others):
                pooling[scenario, torch.from_numpy(others)] = 1 / len(others)
        # Neither is learned; they follow from the scenarios.
        self.register_buffer("indices", indices, persistent=False)
        self.register_buffer("pooling", pooling, persistent=False)

    def forward(self) -> Tensor:
        """(scenarios, width)."""
        explicit = self.explicit()
        implicit = self.implicit_map(self.get_buffer("pooling") @ explicit).tanh()
        return self.joint_map(torch.cat([explicit, implicit], dim=1)).tanh()

    def explicit(self) -> Tensor:
        """ER of all scenarios, (scenarios, width)."""
        indices = self.get_buffer("indices")
        embedded = [embed(indices[:, place]) for place, embed in enumerate(self.embeddings)]
        return self.explicit_map(torch.cat(embedded, dim=1)).tanh()


def _indexed(attributes: Sequence[Mapping[str, str]]) -> tuple[list[int], Tensor]:
    """How many values each attribute has, and (scenarios, attributes) which of them; 0: none."""
    names = sorted({name for own in attributes for name in own})
    if not names:
        return [len(attributes)], torch.arange(len(attributes))[:, None]
    columns: list[list[int]] = []
    counts: list[int] = []
    for name in names:
        known = sorted({own[name] for own in attributes if name in own})
        columns.append([known.index(own[name]) + 1 if name in own else 0 for own in attributes])
        counts.append(len(known) + 1)
    return counts, torch.tensor(columns).T.contiguous()
