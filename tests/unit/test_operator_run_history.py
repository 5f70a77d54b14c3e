"""Which data, runs and light versions may go: whatever is listed and in use, never what somebody needs."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from longtail_operator.stores.run_history import REST, outgrown
from longtail_store import ObjectInfo

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RUNS = "runs/shop.spring.01234567"


def listed(*keys: str, age: timedelta = DAY) -> list[ObjectInfo]:
    return [ObjectInfo(key, 1, NOON - age) for key in keys]


NUMBERS = st.integers(1, 9)
KINDS = (
    st.builds("data/o/d{}/{}".format, NUMBERS, st.sampled_from(["manifest.json", "part-a"])),
    st.builds(
        "runs/o/{}/{}/{}".format, NUMBERS, st.sampled_from(["prepare", "adapt"]),
        st.sampled_from(["result.json", "resume/point", "weights"]),
    ),
    st.builds("models/o/v{}/model.onnx".format, NUMBERS),
    st.sampled_from(["data/o/by-hand/manifest.json", "runs/o/notes.txt"]),
)  # fmt: skip
LISTINGS = st.one_of(st.dictionaries(keys, st.integers(0, 120), max_size=30) for keys in KINDS).map(
    lambda ages: [ObjectInfo(key, 1, NOON - timedelta(minutes=ages[key])) for key in sorted(ages)]
)
FOLDERS = st.sets(st.builds("{}{}".format, st.sampled_from(["data/o/d", "runs/o/", "models/o/v"]), NUMBERS))


@given(LISTINGS, st.integers(1, 5), FOLDERS)
def test_what_is_in_use_or_was_written_within_the_hour_stays(
    listing: list[ObjectInfo], newest: int, in_use: set[str]
) -> None:
    gone = outgrown(listing, newest, in_use, NOON)
    assert not in_use & set(gone.values())
    assert all(NOON - item.modified >= REST for item in listing if item.key in gone)


@given(LISTINGS, st.integers(1, 5), FOLDERS)
def test_the_newest_of_every_kind_stay(listing: list[ObjectInfo], newest: int, in_use: set[str]) -> None:
    gone = outgrown(listing, newest, in_use, NOON)
    for prefix, inside in (("data/o/d", ""), ("models/o/v", ""), ("runs/o/", "prepare/"), ("runs/o/", "adapt/")):
        here = {n for n in range(1, 10) if any(item.key.startswith(f"{prefix}{n}/{inside}") for item in listing)}
        for number in sorted(here)[-newest:]:
            lost = [key for key in gone if key.startswith(f"{prefix}{number}/{inside}")]
            assert all("/resume/" in key for key in lost)


@given(LISTINGS, st.sets(st.integers(0, 29)), st.integers(1, 5), FOLDERS)
def test_who_sees_less_removes_less(listing: list[ObjectInfo], hidden: set[int], newest: int, in_use: set[str]) -> None:
    """Whole folders that a listing lacks never cost another one its place."""
    folders = sorted({item.key.rpartition("/")[0] for item in listing})
    away = {folder for number, folder in enumerate(folders) if number in hidden}
    part = [item for item in listing if item.key.rpartition("/")[0] not in away]
    assert outgrown(part, newest, in_use, NOON).keys() <= outgrown(listing, newest, in_use, NOON).keys()


@given(LISTINGS, st.integers(1, 5), FOLDERS)
def test_a_second_pass_finds_nothing(listing: list[ObjectInfo], newest: int, in_use: set[str]) -> None:
    gone = outgrown(listing, newest, in_use, NOON)
    assert not outgrown([item for item in listing if item.key not in gone], newest, in_use, NOON)


def test_runs_for_new_data_alone_do_not_drive_out_the_last_heavy_model() -> None:
    keys = [f"{RUNS}/{number}/prepare/result.json" for number in range(2, 8)]
    gone = outgrown(listed(f"{RUNS}/1/prepare/result.json", f"{RUNS}/1/adapt/heavy.safetensors", *keys), 5, (), NOON)
    assert sorted(gone) == [f"{RUNS}/1/prepare/result.json", f"{RUNS}/2/prepare/result.json"]


def test_the_journal_of_a_finished_search_goes_and_that_of_one_to_be_resumed_stays() -> None:
    over = [f"{RUNS}/1/search/result.json", f"{RUNS}/1/search/architecture.json", f"{RUNS}/1/search/resume/journal"]
    gone = outgrown(listed(*over, f"{RUNS}/2/search/resume/journal"), 5, (), NOON)
    assert list(gone) == [f"{RUNS}/1/search/resume/journal"]
