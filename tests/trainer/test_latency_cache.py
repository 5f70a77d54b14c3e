"""A latency table is measured once per machine, whatever state its file is in."""

import pytest

from longtail_api.light_model_search import SearchSpace
from longtail_trainer.search import latency_cache
from longtail_trainer.search.latency_cache import (
    LatencyParts,
    cache_folder,
    parts_of,
    table_of_machine,
    table_of_search,
)
from longtail_trainer.search.latency_table import LatencyTable
from tests.trainer.invented_tables import FEATURES, OPERATIONS
from tests.trainer.tiny_features import a_schema, features_of

SPACE = SearchSpace(layers=2, operations=list(OPERATIONS), width=4)
PARTS = parts_of(FEATURES, SPACE, [])


class Measured:
    """Measures by counting."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, parts: LatencyParts) -> LatencyTable:
        self.times += 1
        each = dict.fromkeys(parts.operations, 0.1 / 3)
        return LatencyTable(fixed=self.times, operations=each, edge=0.001, tail=1.25)


@pytest.fixture
def measure() -> Measured:
    return Measured()


def test_a_second_search_measures_nothing(tmp_path, measure):
    first = table_of_machine(PARTS, tmp_path / "cache", measure)
    assert table_of_machine(PARTS, tmp_path / "cache", measure) == first
    assert measure.times == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fixed": -1, "operations": {}, "edge": 0, "tail": 1}'])
def test_a_file_that_is_no_table_is_measured_again_and_replaced(tmp_path, measure, content, caplog):
    table_of_machine(PARTS, tmp_path, measure)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert table_of_machine(PARTS, tmp_path, measure).fixed == 2
    assert "measured again" in caplog.text
    assert table_of_machine(PARTS, tmp_path, measure).fixed == 2


def test_a_folder_that_cannot_be_written_is_a_line_of_log(tmp_path, measure, caplog):
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        table_of_machine(PARTS, tmp_path / "file", measure)
    assert measure.times == 2
    assert "can't be kept" in caplog.text


def test_another_shape_processor_or_runtime_has_a_table_of_its_own(tmp_path, measure, monkeypatch):
    longer = features_of(a_schema(sequences=2, max_length=7))
    wider, deeper = SPACE.model_copy(update={"width": 6}), SPACE.model_copy(update={"layers": 3})
    others = [parts_of(longer, SPACE, []), parts_of(FEATURES, SPACE, ["kind"])]
    others += [parts_of(FEATURES, spec, []) for spec in (wider, deeper)]
    for parts in (PARTS, *others):
        table_of_machine(parts, tmp_path, measure)
    assert measure.times == 5
    monkeypatch.setattr(latency_cache, "processor", lambda: "another one")
    table_of_machine(PARTS, tmp_path, measure)
    monkeypatch.setattr(latency_cache.onnxruntime, "__version__", "0.0.0")
    table_of_machine(PARTS, tmp_path, measure)
    assert measure.times == 7


def test_the_folder_is_the_one_named_or_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LONGTAIL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder() == tmp_path / "user" / "longtail"


class Memory:
    def __init__(self) -> None:
        self.saved: dict[str, bytes] = {}

    def save(self, name: str, payload: bytes) -> None:
        self.saved[name] = payload

    def load(self, name: str) -> bytes | None:
        return self.saved.get(name)


def test_a_search_that_resumes_on_another_machine_goes_on_with_its_table(tmp_path, measure, monkeypatch):
    resume = Memory()
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "one"))
    first = table_of_search(PARTS, resume, measure)
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "other"))
    assert table_of_search(PARTS, resume, measure) == first
    assert measure.times == 1
