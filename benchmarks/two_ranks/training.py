"""Some steps of pooled training, by as many processes as torchrun's variables say; the first one writes the weights.

python -m benchmarks.two_ranks.training --config initialize.json --steps 100 --dtype float64 --out weights.pt
"""

import argparse
from functools import reduce
from pathlib import Path

import torch
from torch import nn

from longtail_api.methods.alt import InitializeConfig
from longtail_api.store_objects import TRAINING_SPLITS, Features, Statistics
from longtail_store import open_store
from longtail_trainer.data.encoded import EncodedSplit, concatenate
from longtail_trainer.data.features import fit_features
from longtail_trainer.data.loading import encoded_parts, load_manifest, load_statistics
from longtail_trainer.data.prepare.statistics import merge
from longtail_trainer.methods.alt.fresh import fresh_heavy
from longtail_trainer.running.ranks import Ranks, joined_ranks
from longtail_trainer.running.stop import NeverStops
from longtail_trainer.training.loss import LabelLosses
from longtail_trainer.training.settings import TrainingSettings
from longtail_trainer.training.supervised import train

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def pool_rows(config: InitializeConfig) -> tuple[Features, EncodedSplit]:
    """The features that the config's pool gives, and its training rows."""
    store = open_store(config.store)
    manifests = [load_manifest(store, key) for key in config.pool]
    statistics = reduce(merge, (load_statistics(store, manifest) for manifest in manifests), Statistics())
    features = fit_features(config.data_schema, statistics)
    return features, concatenate(encoded_parts(store, manifests, TRAINING_SPLITS, features))


def trained(config: InitializeConfig, steps: int, dtype: torch.dtype, ranks: Ranks) -> nn.Module:
    """The config's fresh model after so many steps on its pool's training rows."""
    features, rows = pool_rows(config)
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    model = fresh_heavy(features, config.encoder, config.architecture, None, config.seed, cpu).to(dtype)
    settings = TrainingSettings(
        steps=steps, batch_size=config.training.batch_size, learning_rate=0.01, seed=config.seed, patience=None
    )
    train(model, rows, None, LabelLosses.of(config.data_schema), settings, None, NeverStops(), ranks=ranks)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_ranks.training", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="of initialize; its pool must be prepared")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = InitializeConfig.model_validate_json(options.config.read_bytes())
    with joined_ranks() as ranks:
        model = trained(config, options.steps, DTYPES[options.dtype], ranks)
        if ranks.rank == 0:
            torch.save(model.state_dict(), options.out)


if __name__ == "__main__":
    main()
