"""From what a scenario is like to what its sub-model learns from which layer (SAMD, Eq. 6 to 9)."""

import pytest
import torch

from longtail_api.methods.samd import TransferWeights
from longtail_trainer.methods.samd.meta_network import MetaNetwork, SoftClusters, contracted, transfer_weights


def a_network(plug_ins: dict[str, int], weights: TransferWeights = "StudentLayers") -> MetaNetwork:
    torch.manual_seed(0)
    return MetaNetwork(width=16, clusters=3, teacher_layers=4, plug_ins=plug_ins, weights=weights)


def test_a_cluster_embedding_is_the_mean_of_the_centers_by_the_scenarios_shares():
    clusters = SoftClusters(width=2, clusters=2)
    with torch.no_grad():
        clusters.project.weight.copy_(torch.eye(2))
        clusters.centers.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    scenario = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(clusters.shares(scenario), torch.tensor([0.731059, 0.268941]))
    torch.testing.assert_close(clusters(scenario), torch.tensor([1.537883, 2.537883]))


def test_the_strategy_is_contracted_with_the_plug_in_over_both_of_its_indices():
    strategy = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    plug_in = torch.zeros(2, 2, 2, 2)
    plug_in[:, :, 0, 0] = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    plug_in[:, :, 1, 0] = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    scores = contracted(strategy, plug_in)
    assert scores.tolist() == [[1, 0], [9, 0]]
    weights = transfer_weights(scores, "StudentLayers")
    torch.testing.assert_close(weights, torch.tensor([[0.731059, 0.268941], [0.999877, 0.000123]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("weights", ["StudentLayers", "AllPairs"])
def test_all_weights_together_are_as_many_as_the_general_model_has_layers(weights: TransferWeights):
    found = a_network({"depth-2": 2}, weights)(torch.randn(16), "depth-2")
    assert found.shape == (4, 2)
    assert float(found.detach().sum()) == pytest.approx(4)
    assert bool(torch.isclose(found.sum(1), torch.ones(4)).all()) == (weights == "StudentLayers")


def test_g_is_as_large_as_the_paper_has_it():
    """[64, 32, 16] behind T and C of 16 each."""
    assert sum(one.numel() for one in a_network({"depth-2": 2}).strategy.parameters()) == 4_720


def test_scenarios_that_are_alike_learn_alike_where_they_share_a_plug_in():
    scenario = torch.randn(16)
    network = a_network({"depth-4": 4, "scenario-0": 2, "scenario-1": 2})
    assert torch.equal(network(scenario, "depth-4"), network(scenario.clone(), "depth-4"))
    assert not torch.allclose(network(scenario, "scenario-0"), network(scenario, "scenario-1"))
