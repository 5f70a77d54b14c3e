"""Targets of a comparison on one data set. They say nothing about another, so a file holds them: `--targets FILE`."""

from pathlib import Path

import yaml
from pydantic import ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from benchmarks.comparison.dataset import UnusableDataset
from benchmarks.comparison.rows import Frozen


class Targets(Frozen):
    """A figure without a target is shown and not judged.

    averages: least scenario-average AUC by method. Then least differences in AUC, largest ratios (of latency by
    encoder), and most seconds from tables to an exported light model.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    averages: dict[str, float] = {}
    meh_over_sinh: float | None = None
    meh_to_boosting: float | None = None
    ours_to_meh: float | None = None
    flops_ratio: float | None = None
    latency_ratio: dict[str, float] = {}
    pipeline_seconds: float | None = None


def read_targets(file: Path | None) -> Targets:
    """No targets where no file is given. Raises `UnusableDataset` where it can't be read."""
    if file is None:
        return Targets()
    try:
        return Targets.model_validate(yaml.safe_load(file.read_text()))
    except OSError as error:
        raise UnusableDataset(f"--targets {file}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise UnusableDataset(f"--targets {file}: {' '.join(str(error).split())}") from error
