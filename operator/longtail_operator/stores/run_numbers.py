"""Numbers of runs: what is named after them, and which ones a Scenario has used, by what is left of its runs.

The latter is asked only where a status names no run: the Scenario is new, or its status was lost (a backup restored
without it). A number must not be given out twice: steps would meet another run's results, and feedback of a settled
run is a duplicate for ever.
"""

from collections.abc import Iterable

from longtail_api.labels import RUN_LABEL, VERSION_LABEL
from longtail_api.store_layout import data_versions_prefix, runs_prefix
from longtail_operator.kubernetes.objects import Json, labels_of
from longtail_store import Store
from longtail_store.settled import Ranges
from longtail_store.settled_log import SettledLog, read_head


def data_version(run: int) -> str:
    """The data version that a run prepares."""
    return f"d{run}"


def light_version(run: int) -> str:
    """The light version that a run trains."""
    return f"v{run}"


def last_in_children(children: Iterable[Json]) -> int:
    """The highest run number that one of a Scenario's `children` bears; 0 without any."""
    numbers = [0]
    for item in children:
        marks = labels_of(item)
        numbers += _numbers((marks.get(RUN_LABEL, ""), marks.get(VERSION_LABEL, "")[1:]))
    return max(numbers)


def last_in_store(scenario: str, keys: Iterable[str], settled: Ranges) -> int:
    """The highest run number of the Scenario's `keys` in the store and of its `settled` feedback; 0 without any."""
    runs, data = runs_prefix(scenario), data_versions_prefix(scenario)
    numbers = [0, *(last for _, last in settled)]
    for key in keys:
        folder = key.removeprefix(runs).partition("/")[0] if key.startswith(runs) else ""
        version = key.removeprefix(data).partition("/")[0] if key.startswith(data) else ""
        numbers += _numbers((folder, version[1:]))
    return max(numbers)


def read_last_in_store(store: Store, scenario: str) -> int:
    """The same, of what the store has now. Raises what the store raises."""
    _, settled = read_head(store, SettledLog(store), [scenario])
    prefixes = (runs_prefix(scenario), data_versions_prefix(scenario))
    keys = [item.key for prefix in prefixes for item in store.list(prefix)]
    return last_in_store(scenario, keys, settled.of(scenario))


def _numbers(texts: Iterable[str]) -> list[int]:
    return [int(text) for text in texts if text.isdecimal()]
