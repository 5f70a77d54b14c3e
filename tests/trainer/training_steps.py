"""initialize and adapt on tiny prepared data, in this process or as the command line runs them."""

import os
import subprocess
import sys
from pathlib import Path

from longtail_api.architecture import Architecture, Training
from longtail_api.methods.alt import AdaptConfig, InitializeConfig, MetaTrainConfig
from longtail_api.run_config import StepConfig, StoreAddress
from longtail_api.store_objects import MetaUpdateParameters
from longtail_trainer.running.step import step_name
from tests.trainer.prepared_data import SCHEMA

SMALL = Architecture(behavior_width=4, behavior_layers=1, profile_layers=[8], prediction_layers=[8], embedding_size=3)
POOL = ["ns.north.00000001", "ns.south.00000002"]
ARRIVAL = "ns.east.00000003"


def initialize_config(address: StoreAddress, pool: list[str], **fields: object) -> InitializeConfig:
    training = fields.pop("training", Training(epochs=4, batch_size=32, learning_rate="0.01"))
    defaults: dict[str, object] = {"identity": "i1", "run": 1, "schema_hash": "h1", "threads": 1, "seed": 5}
    return InitializeConfig(
        store=address,
        owner="agnostic",
        data_schema=SCHEMA,
        architecture=SMALL,
        pool=pool,
        training=training,
        **(defaults | fields),
    )


def adapt_config(address: StoreAddress, manifest: str, **fields: object) -> AdaptConfig:
    training = fields.pop(
        "training", Training(fine_tune_epochs=3, fine_tune_batch_size=32, fine_tune_learning_rate="0.01")
    )
    defaults: dict[str, object] = {"identity": "a1", "run": 1, "base_version": 1, "threads": 1, "owner": ARRIVAL}
    return AdaptConfig(store=address, manifest=manifest, training=training, **(defaults | fields))


def meta_train_config(address: StoreAddress, manifests: list[str], **fields: object) -> MetaTrainConfig:
    training = fields.pop("training", Training(fine_tune_batch_size=32, fine_tune_learning_rate="0.003"))
    defaults: dict[str, object] = {
        "identity": "m1",
        "run": 1,
        "base_version": 1,
        "generation": 1,
        "threads": 1,
        "rounds": 3,
        "episode_epochs": 1,
        "scenarios_per_step": 2,
        "parameters": MetaUpdateParameters(learning_rate=0.1, staleness_exponent=0.5, clip_norm=1.0),
    }
    return MetaTrainConfig(
        store=address, owner="agnostic", manifests=manifests, training=training, **(defaults | fields)
    )


def started(config: StepConfig, folder: Path) -> subprocess.Popen[str]:
    """The step as a process of its own."""
    file = folder / f"{step_name(config)}.json"
    file.write_text(config.model_dump_json(by_alias=True))
    return subprocess.Popen(
        [sys.executable, "-m", "longtail_trainer", step_name(config), "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )


def killed_after(process: subprocess.Popen[str], word: str) -> str:
    """SIGKILL as soon as a line holds `word`; the output until then."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            break
    process.kill()
    process.wait()
    output = "".join(lines)
    assert word in output, output
    return output
