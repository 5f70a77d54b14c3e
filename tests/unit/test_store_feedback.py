"""Handing in feedback: once per run, whole, and recognizably."""

from pathlib import Path

import numpy as np
import pytest

from longtail_api.store_layout import feedback_key
from longtail_api.store_objects import FeedbackMetadata, Version
from longtail_store import Corrupt, SchemaVersionUnsupported, Store, StoreUnreachable, read_object
from longtail_store.errors import FeedbackUnusable
from longtail_store.feedback import FeedbackConflict, RowSparse, read_feedback, write_feedback
from longtail_store.file_store import FileStore
from longtail_store.tensor_file import TensorSpec, open_tensor_file, write_tensor_file
from longtail_store.typed_objects import parse_object, write_object_if_absent
from tests.store.faults import Fault, FaultyStore, World
from tests.store.small_model import dense_gradients, with_last_byte_flipped

SCENARIO = "team.ads.00000001"
GRADIENTS = {
    "weight": np.arange(12, dtype=np.float32).reshape(4, 3),
    "bias": np.asarray(0.5, np.float32),
    "embedding": RowSparse(np.array([1, 4]), np.ones((2, 3), np.float32)),
    "untouched": RowSparse(np.array([], np.int64), np.ones((0, 3), np.float32)),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FileStore(tmp_path / "store")


def hand_in(store: Store, gradients=GRADIENTS, *, loss: float = 0.5, base_version: int = 2) -> FeedbackMetadata:
    return write_feedback(
        store,
        gradients,
        scenario=SCENARIO,
        run=3,
        base_version=base_version,
        generation=1,
        examples=40,
        loss=loss,
    )


def test_feedback_is_read_back_as_it_was_handed_in(store: Store) -> None:
    written = hand_in(store)
    metadata, gradients = read_feedback(store, SCENARIO, 3)
    assert metadata == written
    assert gradients.keys() == GRADIENTS.keys()
    np.testing.assert_array_equal(gradients["weight"], GRADIENTS["weight"])
    assert gradients["bias"].shape == ()
    np.testing.assert_array_equal(gradients["embedding"].rows, [1, 4])
    assert gradients["untouched"].values.shape == (0, 3)


def test_a_gradient_in_another_memory_layout_is_the_same_gradient(store: Store) -> None:
    weight = np.asfortranarray(GRADIENTS["weight"])
    written = hand_in(store, {"weight": weight[::-1][::-1]})
    _, gradients = read_feedback(store, SCENARIO, 3)
    np.testing.assert_array_equal(gradients["weight"], weight)
    assert written == hand_in(store, {"weight": np.ascontiguousarray(weight)})


def test_a_retried_container_adopts_what_it_handed_in_before(store: Store) -> None:
    assert hand_in(store) == hand_in(store)


def test_a_lost_response_is_resolved_by_handing_in_again(store: Store) -> None:
    faults = iter([Fault.LOST_RESPONSE])
    faulty = FaultyStore(World(store), lambda call, key: next(faults, Fault.NONE))
    with pytest.raises(StoreUnreachable):
        hand_in(faulty)
    metadata, _ = read_feedback(store, SCENARIO, 3)
    assert hand_in(faulty) == metadata


@pytest.mark.parametrize("change", [{"gradients": dense_gradients(1)}, {"base_version": 1}])
def test_other_feedback_of_the_same_run_is_a_conflict_that_shows_what_stands(store: Store, change: dict) -> None:
    first = hand_in(store)
    with pytest.raises(FeedbackConflict) as conflict:
        hand_in(store, **change)
    assert conflict.value.stored == first


def test_a_loss_that_is_nan_reaches_the_ledger(store: Store) -> None:
    hand_in(store, loss=float("nan"))
    metadata, _ = read_feedback(store, SCENARIO, 3)
    assert np.isnan(metadata.loss)


def damaged(store: Store, data: bytes) -> None:
    store.put_advisory(feedback_key(SCENARIO, 3), data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (with_last_byte_flipped, "WrongHash"),
        (lambda data: data[:100], "Unreadable"),
        (lambda data: data + b"x", "Unreadable"),
        (lambda data: b"", "Unreadable"),
        (lambda data: data.replace(b'\\"examples\\":40', b'\\"examples\\":xx'), "Unreadable"),
        (lambda data: data.replace(b'\\"run\\":3', b'\\"run\\":4'), "Unreadable"),
        (lambda data: data.replace(b'\\"schemaVersion\\":1', b'\\"schemaVersion\\":9'), "Unreadable"),
        (lambda data: data.replace(b'"embedding#values"', b'"embedding#valuez"'), "WrongHash"),
    ],
)
def test_damage_is_named(store: Store, damage, reason: str) -> None:
    hand_in(store)
    before = store.get(feedback_key(SCENARIO, 3))
    assert damage(before) != before
    damaged(store, damage(before))
    with pytest.raises(FeedbackUnusable) as error:
        read_feedback(store, SCENARIO, 3)
    assert error.value.reason == reason


@pytest.mark.parametrize("names", [["a#rows"], ["a#values"], ["a", "a#rows", "a#values"]])
def test_half_of_a_row_sparse_gradient_is_wrong_tensors(store: Store, names: list[str]) -> None:
    hand_in(store, {name: np.ones(2, np.float32) for name in names})
    with pytest.raises(FeedbackUnusable) as error:
        read_feedback(store, SCENARIO, 3)
    assert error.value.reason == "WrongTensors"


def test_a_tensor_file_is_written_and_read_in_blocks(tmp_path: Path) -> None:
    values = np.arange(70, dtype=np.float64).reshape(10, 7)
    specs = [TensorSpec("values", "F64", (10, 7)), TensorSpec("one", "I64", ())]
    blocks = [values[start:stop] for start, stop in specs[0].blocks(150)]
    assert [len(block) for block in blocks] == [2, 2, 2, 2, 2]
    write_tensor_file(tmp_path / "file", specs, [*blocks, np.asarray(5)], {"who": "me"})
    with open_tensor_file(tmp_path / "file") as file:
        assert list(file.tensors.values()) == specs
        assert file.metadata == {"who": "me"}
        np.testing.assert_array_equal(file.rows("values", 3, 5), values[3:5])
        assert file.rows("values", 4, 4).shape == (0, 7)
        assert file.rows("one", 0, 1) == 5


def test_blocks_that_do_not_fill_a_tensor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the blocks hold 8 bytes, the tensors 16"):
        write_tensor_file(tmp_path / "file", [TensorSpec("a", "F64", (2,))], [np.zeros(1)])


def test_a_tensor_type_the_model_can_not_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_tensor_file(path, [TensorSpec("a", "F16", (2,))], [np.zeros(2, np.float16)])
    path.write_bytes(path.read_bytes().replace(b"F16", b"U16"))
    with pytest.raises(Corrupt, match="U16"), open_tensor_file(path):
        pass


METADATA = FeedbackMetadata(
    scenario="s", run=1, base_version=1, generation=1, examples=1, loss=1, payload_sha256="0" * 64, nonce="n"
)


def test_typed_objects_are_written_once_and_read_back(store: Store) -> None:
    assert write_object_if_absent(store, "a.json", METADATA)
    assert not write_object_if_absent(store, "a.json", METADATA.model_copy(update={"run": 2}))
    assert read_object(store, "a.json", FeedbackMetadata) == METADATA


@pytest.mark.parametrize("written", [0, 1])
def test_this_schema_version_and_the_one_before_are_read(written: int) -> None:
    data = METADATA.model_copy(update={"schema_version": written}).to_bytes()
    assert parse_object(data, FeedbackMetadata, "here").run == 1


def test_a_newer_schema_version_is_refused_with_the_remedy() -> None:
    data = METADATA.model_copy(update={"schema_version": 2}).to_bytes()
    with pytest.raises(SchemaVersionUnsupported, match=r"here has schemaVersion 2.*use a newer Longtail"):
        parse_object(data, FeedbackMetadata, "here")


def test_a_field_of_a_later_release_is_passed_over() -> None:
    data = METADATA.to_bytes()[:-1] + b',"later":1}'
    assert parse_object(data, FeedbackMetadata, "here") == METADATA


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"{}", b'{"schemaVersion":"x"}'])
def test_what_is_no_such_object_is_corrupt_and_says_where(data: bytes) -> None:
    with pytest.raises(Corrupt, match="here is no"):
        parse_object(data, Version, "here")
