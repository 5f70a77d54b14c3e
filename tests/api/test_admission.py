"""Every invalid manifest is refused with words that name the field and what to do; its valid twin is not."""

import pytest
from pydantic import ValidationError

from longtail_api.kinds import KINDS
from tests.api.manifest_pairs import EXAMPLES, INVALID, MANIFESTS, VALID, ManifestFile, name_of, read
from tests.api.strict_client import Api, Refused
from tests.unit.test_api_definitions import FIELDS

pytestmark = pytest.mark.api

MODELS = {kind.name: kind.model for kind in KINDS}


def submit(api: Api, file: ManifestFile) -> None:
    """Create the document; or create the first for the time being, with its status, and put the second in its place."""
    if len(file.documents) == 1:
        api.create(file.documents[0])
        return
    before, after = file.documents
    present = api.create(before, dry_run=False)
    try:
        if "status" in before:
            present = api.put_status(present, before["status"], dry_run=False)
        api.change(present, after)
    finally:
        api.delete(before)


def test_each_invalid_manifest_has_a_valid_twin():
    assert [name_of(file) for file in INVALID] == [name_of(file) for file in VALID]
    assert len(INVALID) >= 40
    assert all(file.expected for file in INVALID)


@pytest.mark.parametrize("file", INVALID, ids=name_of)
def test_an_invalid_manifest_is_refused_with_words_that_help(api: Api, file: ManifestFile):
    with pytest.raises(Refused) as refused:
        submit(api, file)
    for words in file.expected:
        assert words in str(refused.value)


@pytest.mark.parametrize("file", VALID, ids=name_of)
def test_its_valid_twin_is_accepted(api: Api, file: ManifestFile):
    submit(api, file)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_is_accepted_and_comes_back_as_the_models_read_it(api: Api, path):
    for manifest in read(path).documents:
        model = MODELS[manifest["kind"]]
        returned = api.create(manifest)
        assert model.model_validate(returned).spec == model.model_validate(manifest).spec


# They leave out nearly everything; between them they give the optional objects, whose inner defaults then appear.
SPARSE = ["no-feature", "sequence-without-feature", "endpoint-of-a-folder", "budget-as-float", "slo-in-seconds"]
SPARSE += [
    "unknown-time-zone",
    "two-priorities",
    "cron-out-of-range",
    "changed-search-target",
    "changed-algorithm",
    "fraction-of-a-gpu",
]


@pytest.mark.parametrize("file", [file for file in VALID if name_of(file) in SPARSE], ids=name_of)
def test_the_server_fills_in_the_defaults_of_the_models(api: Api, file: ManifestFile):
    manifest = file.documents[0]
    model = MODELS[manifest["kind"]]
    returned = api.create(manifest)["spec"]
    written = model.model_validate(manifest).spec.to_json_dict()
    assert filled_in(returned, written)
    # What is told only where it is switched on, the server fills in, too; it means the same.
    assert model.model_validate(manifest | {"spec": returned}).spec.to_json_dict() == written


def filled_in(returned, written):
    """Whether all that the model says is in what the server returned; given values may be spelled otherwise."""
    if isinstance(written, dict):
        return all(key in returned and filled_in(returned[key], inner) for key, inner in written.items())
    if isinstance(written, list):
        return len(returned) == len(written) and all(map(filled_in, returned, written))
    return True


@pytest.mark.parametrize(
    "written",
    [
        1,
        "1",
        "12k",
        "1.5M",
        "1000G",
        "01",
        0,
        -7,
        "0.0",
        "1001G",
        "1.",
        ".5",
        "1e3",
        "+1",
        "1K",
        "1Gi",
        "1m",
        "",
        " 1",
        "k",
        "1" * 25,
    ],
    ids=repr,
)
def test_the_server_and_the_models_agree_on_numbers(api: Api, written):
    manifest = {
        "apiVersion": "longtail.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "number"},
        "spec": {"heavyModelRef": {"name": "ads"}, "budget": {"maxFlops": written}},
    }
    assert taken(lambda: api.create(manifest), Refused) == taken(
        lambda: MODELS["Scenario"].model_validate(manifest), ValidationError
    )


def taken(attempt, refusal: type[Exception]) -> bool:
    try:
        attempt()
    except refusal:
        return False
    return True


NUMBERS = [path for path, field in FIELDS if field.get("x-kubernetes-int-or-string") and ".spec." in path]
"""Where a number stands that may have a fraction: `Scenario.spec.budget.maxFlops`."""


@pytest.mark.parametrize("path", NUMBERS)
def test_a_decimal_without_quotes_is_refused_by_its_field(api: Api, path: str):
    kind, *names = path.replace("[]", ".0").replace("[*]", ".cpu").split(".")
    (example,) = (one.example for one in KINDS if one.name == kind)
    manifest = read(MANIFESTS / "examples" / example).documents[0]
    put(manifest, names, 0.5)
    place = path.removeprefix(f"{kind}.").replace("[]", "[0]").replace("[*]", ".cpu")
    with pytest.raises(Refused) as refused:
        api.create(manifest)
    assert f"{place} in body must be of type integer,string" in str(refused.value)


def put(within, names: list[str], value: float) -> None:
    """Put `value` at a path, and what is missing on the way to it; a number in the path is a place in a list."""
    here, *rest = names
    place = int(here) if here.isdecimal() else here
    if not rest:
        within[place] = value
        return
    known = within[place] if isinstance(place, int) else within.get(place)
    within[place] = known or ([{}] if rest[0].isdecimal() else {})
    put(within[place], rest, value)
