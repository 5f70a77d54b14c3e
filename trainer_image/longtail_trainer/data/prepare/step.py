"""prepare: the three tables in, one data version out."""

from datetime import UTC, datetime

from longtail_api.run_config import PrepareConfig
from longtail_api.store_layout import manifest_key
from longtail_api.store_objects import Manifest, StepResult
from longtail_trainer.data.prepare.data_version import make_data_version
from longtail_trainer.data.prepare.publication import published
from longtail_trainer.running.step import StepContext


def run(config: PrepareConfig, context: StepContext) -> StepResult:
    """Prepare the data version that the config names, unless it is there already.

    Raises `DataInvalid` that names table, column and rows where the tables can't be used.
    """
    manifest = published(context.store, config)
    if manifest is None:
        manifest = make_data_version(config, context, now=datetime.now(UTC))
    return context.result(outputs=outputs(manifest))


def outputs(manifest: Manifest) -> dict[str, object]:
    """What later steps and the resource's status need of the data version.

    `oneClass`, `unobserved`: labels that can't be learned here. `sharedEntities`: how many have training and test rows.
    `trainingFingerprint`: of the training rows, by which unchanged ones are known again.
    `entities`, `joined`: how many entities the samples have, and how many of them each other table knows; `unjoined`:
    a warning for each table that knows none or few.
    `sampledColumns`, where there are any: the ten of which the smallest share of rows was counted, and that share.
    """
    content: dict[str, object] = {
        "manifest": manifest_key(manifest.scenario, manifest.version),
        "dataVersion": manifest.version,
        "rows": manifest.rows,
        "positives": manifest.positives,
        "statisticsSha256": manifest.statistics_sha256,
        "oneClass": manifest.one_class,
        "unobserved": manifest.unobserved,
        "trainingFingerprint": manifest.training_fingerprint,
        "sharedEntities": manifest.shared_entities,
        "entities": manifest.entities,
        "joined": manifest.joined,
    }
    if manifest.unjoined:
        content["unjoined"] = manifest.unjoined
    if manifest.sampled_columns:
        least = sorted(manifest.sampled_columns.items(), key=lambda item: (item[1], item[0]))
        content["sampledColumns"] = dict(least[:10])  # a result is small, a schema may have 512 columns
    if manifest.first_time and manifest.last_time:
        content |= {"firstTime": manifest.first_time.isoformat(), "lastTime": manifest.last_time.isoformat()}
    return content
