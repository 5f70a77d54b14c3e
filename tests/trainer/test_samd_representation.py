"""What a scenario is like: by its attributes, and by those it resembles (SAMD, Eq. 2, 4 and 5)."""

import numpy as np
import torch

from longtail_trainer.methods.samd.representation import ScenarioRepresentation

NOBODY = np.zeros(0, dtype=np.int64)


def others(*numbers: int) -> np.ndarray:
    return np.asarray(numbers, dtype=np.int64)


def a_representation(attributes: list[dict[str, str]], neighbors: list[np.ndarray]) -> ScenarioRepresentation:
    torch.manual_seed(0)
    return ScenarioRepresentation(attributes, neighbors, width=4, embedding_size=3)


def test_scenarios_of_the_same_attributes_and_neighbors_are_alike():
    attributes = [{"page": "home", "kind": "ad"}, {"page": "home", "kind": "ad"}, {"page": "pay"}, {"kind": "ad"}]
    representation = a_representation(attributes, [others(2), others(2), others(0, 1), NOBODY])()
    assert representation.shape == (4, 4)
    assert torch.equal(representation[0], representation[1])
    assert not torch.isclose(representation[0], representation[2]).any()
    assert not torch.isclose(representation[0], representation[3]).any()


def test_the_implicit_part_is_what_the_neighbors_attributes_say():
    """Eq. 4 and 5 by hand."""
    module = a_representation([{"page": "home"}, {"page": "pay"}, {"page": "mine"}], [others(1, 2), NOBODY, others(0)])
    explicit = module.explicit()
    implicit = (module.implicit_map.weight @ ((explicit[1] + explicit[2]) / 2)).tanh()
    by_hand = (module.joint_map.weight @ torch.cat([explicit[0], implicit])).tanh()
    torch.testing.assert_close(module()[0], by_hand)


def test_where_a_scenario_resembles_none_its_attributes_stand_alone():
    module = a_representation([{"page": "home"}, {"page": "pay"}], [NOBODY, NOBODY])
    alone = (module.joint_map.weight[:, :4] @ module.explicit()[0]).tanh()
    torch.testing.assert_close(module()[0], alone)


def test_without_attributes_each_scenario_is_itself():
    representation = a_representation([{}, {}, {}], [NOBODY, NOBODY, NOBODY])()
    assert len(representation.unique(dim=0)) == 3
