"""benchmarks.gpu, as far as a machine without a GPU can tell: the same code, with the CPU in the card's place."""

import subprocess
import sys

import pytest
import torch

from benchmarks.gpu import NO_GPU, both, claims_of, limit, rates
from longtail_api.run_config import StoreAddress
from longtail_store import open_store
from longtail_trainer.models.alt_heavy.model import HeavyModel
from tests.trainer.prepared_data import FEATURES, write_scenario
from tests.trainer.training_steps import POOL, SMALL, initialize_config


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU is told")
def test_without_a_gpu_it_says_so():
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], capture_output=True, text=True)
    assert done.returncode == NO_GPU
    assert "no CUDA device" in done.stderr


def test_the_same_training_is_measured_at_both_places(tmp_path):
    address = StoreAddress(uri=tmp_path.as_uri())
    pool = [write_scenario(open_store(address), scenario, seed=number) for number, scenario in enumerate(POOL)]
    for here, there in both(initialize_config(address, pool), torch.device("cpu"), epochs=2):
        assert here.losses == there.losses
        assert len(here.losses) == 2
        assert min(here.samples_per_second, there.samples_per_second) > 0
        same, ratio, _ = claims_of(here, there)
        assert same.figure == 0
        assert same.holds
        assert ratio.figure > 0


def test_the_limit_is_the_lower_of_operations_and_bytes():
    model = HeavyModel(FEATURES, "LSTM", SMALL)
    weights = 4 * sum(parameter.numel() for parameter in model.parameters())
    assert limit(model, 10, 3e9 * model.flops(), 1e30) == pytest.approx(1e9)
    assert limit(model, 10, 1e30, 8e3 * weights) == pytest.approx(1e4)


def test_rates_are_of_a_product_and_a_copy():
    operations, bandwidth = rates(torch.device("cpu"), matrix=64, copied=2**16)
    assert operations > 0
    assert bandwidth > 0
