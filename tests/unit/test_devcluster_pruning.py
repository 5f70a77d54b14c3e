"""Which images go: older generations that nothing uses, and never anything else."""

from tests.devcluster import release
from tests.devcluster.layout import REGISTRY
from tests.devcluster.pruning import Stored, references, surplus

TRAINER, DEPENDENCIES = f"{REGISTRY}/longtail/trainer", f"{REGISTRY}/longtail/trainer-dependencies"
GENERATION = {TRAINER: "new-", DEPENDENCIES: "new"}


def gone(stored: list[Stored], used: set[str] | None = None) -> set[str]:
    return {each.name for each in surplus(stored, GENERATION, used or set())}


def test_an_older_generation_goes_and_the_current_one_stays_with_all_its_code():
    stored = [
        Stored(f"{DEPENDENCIES}:old", "d1"),
        Stored(f"{TRAINER}:old-1", "d2"),
        Stored(f"{DEPENDENCIES}:new", "d3"),
        Stored(f"{TRAINER}:new-1", "d4"),
        Stored(f"{TRAINER}:new-2", "d5"),
    ]
    assert gone(stored) == {f"{DEPENDENCIES}:old", f"{TRAINER}:old-1"}


def test_what_the_cluster_uses_stays():
    stored = [Stored(f"{TRAINER}:old-1", "d1"), Stored(f"{TRAINER}:old-2", "d2")]
    assert gone(stored, {f"{TRAINER}:old-1"}) == {f"{TRAINER}:old-2"}


def test_an_older_tag_of_a_current_image_stays():
    """Its removal from a registry would take the manifest from the current tag, too."""
    stored = [Stored(f"{TRAINER}:old-1", "same"), Stored(f"{TRAINER}:new-1", "same")]
    assert gone(stored) == set()


def test_an_image_that_was_pulled_goes_under_all_its_names():
    stored = [
        Stored(f"{TRAINER}:old-1", "d1"),
        Stored(f"{TRAINER}@sha256:{'1' * 64}", "d1"),
        Stored(f"sha256:{'2' * 64}", "d1"),
    ]
    assert gone(stored) == {each.name for each in stored}
    assert gone(stored, {f"{TRAINER}@sha256:{'1' * 64}"}) == set()


def test_other_images_are_left_alone():
    stored = [
        Stored(f"{REGISTRY}/another/trainer:old", "d1"),
        Stored(f"{REGISTRY}/longtail/trainer-of-someone:old", "d2"),
        Stored("longtail.local/pause:1", "d3"),
        Stored(f"sha256:{'3' * 64}", "d3"),
    ]
    assert gone(stored) == set()


def test_references_are_found_wherever_an_object_names_them():
    text = f"""{{"image": "{TRAINER}:new-1", "args": ["--image={DEPENDENCIES}:new"],
        "env": [{{"value": "{TRAINER}@sha256:{"a" * 64}"}}], "other": "example.org/trainer:1"}}"""
    assert references(text) == {f"{TRAINER}:new-1", f"{DEPENDENCIES}:new", f"{TRAINER}@sha256:{'a' * 64}"}


def test_every_image_that_is_built_belongs_to_the_current_generation():
    generation = release.generation()
    for image in release.IMAGES:
        dependencies = image.dependencies()
        tag = dependencies.rpartition(":")[2]
        built = [Stored(dependencies, "d1"), Stored(f"{release.PREFIX}/{image.name}:{tag}-123456789abc", "d2")]
        assert surplus(built, generation, ()) == []
        older = [Stored(each.name.replace(tag, "older"), each.digest) for each in built]
        assert surplus(older, generation, ()) == older
