"""The HeavyModel's part in the search for its first version: what starts it, and what of it the status shows."""

import json

from longtail_api.heavy_model import HeavyModelSpec, Initialization
from longtail_api.initialization_search import InitializationOutcome, InitializationSearch, WayOutcome
from longtail_operator.kubernetes.objects import Json, Key
from longtail_operator.stores.view import StoreView
from tests.unit.heavy_model_story import SPEC, Model, a_version, member


def a_model(search: InitializationSearch | None = None, **fields: object) -> Model:
    model = Model(member("a"), member("b"))
    model.spec = with_search(search)
    return model


def with_search(search: InitializationSearch | None) -> HeavyModelSpec:
    initialization: Initialization = SPEC.initialization.model_copy(update={"search": search})
    return SPEC.model_copy(update={"initialization": initialization})


def config_of(model: Model) -> Json:
    return json.loads(
        model.children[Key("ConfigMap", "shop", model.jobs()[0]["metadata"]["name"])]["data"]["config.json"]
    )


def test_without_a_search_the_step_is_asked_for_none():
    model = a_model()
    model.settle()
    assert config_of(model).get("search") is None


def test_the_step_is_given_the_search_as_the_spec_has_it():
    model = a_model(InitializationSearch(ways=["Architecture"]))
    model.settle()
    given = InitializationSearch.model_validate(config_of(model)["search"])
    assert given == InitializationSearch(ways=["Architecture"])


def test_another_search_is_another_step():
    identities: set[str] = set()
    for search in (None, InitializationSearch(), InitializationSearch(ways=["Architecture"])):
        model = a_model(search)
        model.settle()
        identities.add(model.status["initialization"]["identity"])
    assert len(identities) == 3


def test_a_change_of_the_search_begins_no_generation():
    model = a_model()
    model.store = StoreView(head=a_version())
    model.settle()
    model.spec = with_search(InitializationSearch())
    model.settle()
    assert model.condition("Ready") == ("True", "Succeeded")
    assert not model.jobs()


def test_the_status_shows_which_way_won_and_both_figures():
    outcome = InitializationOutcome(
        metric="auc",
        won="Architecture",
        ways=[WayOutcome(way="Hyperparameters", value=0.81234), WayOutcome(way="Architecture", value=0.82)],
    )
    model = a_model(InitializationSearch())
    model.store = StoreView(head=a_version(number=5).model_copy(update={"initialization": outcome}))
    model.settle()
    assert model.status["search"] == {
        "won": "Architecture",
        "metric": "auc",
        "hyperparameters": "0.8123",
        "architecture": "0.8200",
    }


def test_a_way_that_failed_has_no_figure_and_no_search_leaves_the_status_empty():
    outcome = InitializationOutcome(
        metric="rmse",
        won="Hyperparameters",
        ways=[WayOutcome(way="Hyperparameters", value=2), WayOutcome(way="Architecture", ended="MemoryError: no")],
    )
    model = a_model(InitializationSearch())
    model.store = StoreView(head=a_version().model_copy(update={"initialization": outcome}))
    model.settle()
    assert model.status["search"] == {"won": "Hyperparameters", "metric": "rmse", "hyperparameters": "2.0000"}
    plain = a_model()
    plain.store = StoreView(head=a_version())
    plain.settle()
    assert "search" not in plain.status
