"""initialize with a search: both ways are gone, the better one on validation rows wins, and both are recorded."""

import pytest
import torch

from longtail_api.architecture import Architecture, Training
from longtail_api.initialization_search import (
    EncoderSearch,
    HyperparameterSearch,
    HyperparameterSpace,
    InitializationSearch,
)
from longtail_api.light_model_search import DifferentiableParameters
from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import feedback_key, result_key, step_prefix, way_key
from longtail_api.store_objects import (
    EncoderSearchResult,
    HyperparameterSearchResult,
    LightArchitecture,
    MetaUpdateParameters,
)
from longtail_operator.meta_update.fold import fold
from longtail_store import Chain, open_store, read_object
from longtail_trainer.methods import run
from longtail_trainer.methods.alt.initialization import choice
from longtail_trainer.methods.alt.initialization.encoder_search import heavy_space, heavy_super_model
from longtail_trainer.methods.alt.initialization.heavy_objective import HeavyObjective
from longtail_trainer.methods.alt.initialization.time_limit import TimeLimit
from longtail_trainer.methods.alt.teacher import load_heavy, load_version
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.running.errors import ConfigInvalid, DataInvalid
from longtail_trainer.search.driver import Limits, NoTrialCompleted
from longtail_trainer.search.trial import TrialEnded
from tests.trainer.prepared_data import FEATURES, parts_read, write_scenario
from tests.trainer.training_steps import ARRIVAL, POOL, SMALL, adapt_config, initialize_config, killed_after, started

pytestmark = pytest.mark.slow

SPEC = InitializationSearch(
    hyperparameters=HyperparameterSearch(
        max_trials=2,
        space=HyperparameterSpace(
            learning_rate=["0.02", "0.000001"], profile_layers=[[8]], behavior_layers=[1], prediction_layers=[[8]]
        ),
    ),
    architecture=EncoderSearch(
        layers=2, operations=["conv1", "conv3", "lstm"], gdas=DifferentiableParameters(epochs=2)
    ),
)
PREFIX = step_prefix("agnostic", 1, "initialize")
TRAINING = Training(epochs=3, batch_size=32, learning_rate="0.01")
ENCODER = EncoderSearch(layers=3, operations=["conv1", "conv3", "max_pool3", "lstm", "attention"])


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def address(tmp_path):
    return StoreAddress(uri=f"file://{tmp_path}/store")


@pytest.fixture
def store(address):
    return open_store(address)


def a_pool(store):
    return [write_scenario(store, name, seed=number) for number, name in enumerate(POOL)]


def a_config(address, pool, search=SPEC, **fields):
    return initialize_config(address, pool, search=search, training=TRAINING, **fields)


def figures(monkeypatch, tuned=0.5, searched=0.5):
    """Candidates have these figures, without any training. An exception is raised, in place of a figure."""

    def objective(self, candidate, report):
        figure = searched if self.cell is not None else tuned
        if isinstance(figure, Exception):
            raise figure
        return figure

    monkeypatch.setattr(HeavyObjective, "__call__", objective)


def ways_of(store):
    return {one.way: one for one in Chain(store).version(1).initialization.ways}


def test_both_ways_are_gone_and_the_better_one_becomes_version_1_with_both_recorded(store, address):
    result = run("initialize", a_config(address, a_pool(store)))
    version = Chain(store).version(1)
    tuned = read_object(store, way_key(PREFIX, "Hyperparameters"), HyperparameterSearchResult)
    searched = read_object(store, way_key(PREFIX, "Architecture"), EncoderSearchResult)
    outcome = version.initialization
    assert {one.way: one.value for one in outcome.ways} == {
        "Hyperparameters": tuned.value,
        "Architecture": searched.value,
    }
    assert outcome.won == ("Architecture" if searched.value > tuned.value else "Hyperparameters")
    assert result.outputs["initialization"] == outcome.to_json_dict()
    # What was compared is what was committed: the winner, trained once more, has that very figure.
    assert version.metrics["scenarioAverageAuc"] == pytest.approx(max(tuned.value, searched.value))
    assert version.flops == ways_of(store)[outcome.won].flops == load_version(store, version).flops()


@pytest.mark.parametrize(
    ("tuned", "searched", "won"),
    [(0.7, 0.8, "Architecture"), (0.8, 0.7, "Hyperparameters"), (0.7, 0.7, "Hyperparameters")],
)
def test_the_higher_auc_on_validation_rows_wins_and_a_tie_is_the_pre_designed_ones(
    store, address, monkeypatch, tuned, searched, won
):
    figures(monkeypatch, tuned, searched)
    run("initialize", a_config(address, a_pool(store)))
    version = Chain(store).version(1)
    assert version.initialization.won == won
    assert (version.model.encoder, version.model.cell is not None) == (
        ("Searched", True) if won == "Architecture" else ("LSTM", False)
    )


def test_of_test_rows_nothing_but_the_entities_is_read(store, address, monkeypatch):
    figures(monkeypatch)
    read = parts_read(monkeypatch)
    assert run("initialize", a_config(address, a_pool(store))).outputs["agnosticVersion"] == 1
    assert [columns for split, columns in read if split == "test"] == [["entity"]] * len(POOL)


def test_a_trial_that_crashes_and_one_that_takes_too_long_are_recorded_and_the_rest_goes_on(
    store, address, monkeypatch
):
    def objective(self, candidate, report):
        architecture = candidate.architecture
        if self.cell is not None:
            return 0.1
        if architecture.behavior_layers == 1:
            raise RuntimeError("CUDA out of memory")
        if architecture.behavior_layers == 2:
            raise TrialEnded("TrialDeadlineExceeded")
        return 0.9

    monkeypatch.setattr(HeavyObjective, "__call__", objective)
    space = SPEC.hyperparameters.space.model_copy(
        update={"behavior_layers": [1, 2, 3], "learning_rate": SPEC.hyperparameters.space.learning_rate[:1]}
    )
    tuning = SPEC.hyperparameters.model_copy(update={"space": space, "max_trials": 20})
    run("initialize", a_config(address, a_pool(store), SPEC.model_copy(update={"hyperparameters": tuning})))
    found = read_object(store, way_key(PREFIX, "Hyperparameters"), HyperparameterSearchResult)
    reasons = {trial.parameters["architecture.behavior_layers"]: (trial.state, trial.reason) for trial in found.trials}
    assert reasons["1"] == ("failed", "RuntimeError: CUDA out of memory")
    assert reasons["2"][0] == "pruned"
    assert reasons["3"] == ("complete", None)
    assert found.architecture.behavior_layers == 3
    counts = ways_of(store)["Hyperparameters"].trials
    assert counts["failed"] >= 1
    assert sum(counts.values()) == len(found.trials)
    assert Chain(store).version(1).model.architecture.behavior_layers == 3


def test_a_way_that_fails_is_recorded_and_the_other_one_wins(store, address, monkeypatch):
    figures(monkeypatch, tuned=0.6, searched=MemoryError("the cell is too large"))
    run("initialize", a_config(address, a_pool(store)))
    outcome = Chain(store).version(1).initialization
    assert outcome.won == "Hyperparameters"
    assert ways_of(store)["Architecture"].ended == "MemoryError: the cell is too large"
    assert ways_of(store)["Architecture"].value is None


def test_a_tuning_without_a_complete_trial_leaves_the_searched_architecture(store, address, monkeypatch):
    figures(monkeypatch, tuned=RuntimeError("no"), searched=0.6)
    run("initialize", a_config(address, a_pool(store)))
    assert Chain(store).version(1).initialization.won == "Architecture"
    assert "none of 2 trials" in ways_of(store)["Hyperparameters"].ended


def test_where_every_way_fails_nothing_is_committed_and_the_reasons_are_told(store, address, monkeypatch):
    figures(monkeypatch, tuned=RuntimeError("no"), searched=RuntimeError("neither"))
    with pytest.raises(NoTrialCompleted, match=r"Hyperparameters: .*; Architecture: RuntimeError: neither"):
        run("initialize", a_config(address, a_pool(store)))
    assert Chain(store).head_number() == 0


def test_a_way_that_is_not_named_is_not_gone(store, address, monkeypatch):
    figures(monkeypatch)
    run("initialize", a_config(address, a_pool(store), SPEC.model_copy(update={"ways": ["Architecture"]})))
    assert [one.way for one in Chain(store).version(1).initialization.ways] == ["Architecture"]
    assert not store.exists(way_key(PREFIX, "Hyperparameters"))


def test_the_searchs_deadline_ends_it_and_what_is_there_counts(store, address, monkeypatch):
    told = []

    def over_at_once(seconds, resume, stop):
        told.append(seconds)
        return TimeLimit(0.0, resume, stop)

    figures(monkeypatch, tuned=0.6)
    monkeypatch.setattr(choice, "TimeLimit", over_at_once)
    search = SPEC.architecture.model_copy(update={"deadline_seconds": 77})
    run("initialize", a_config(address, a_pool(store), SPEC.model_copy(update={"architecture": search})))
    assert told == [77]
    assert Chain(store).version(1).initialization.won == "Hyperparameters"
    assert ways_of(store)["Architecture"].ended == "SearchDeadlineExceeded"


@pytest.mark.parametrize(("rule", "safe_trials"), [("Median", 4), ("Never", 7)])
def test_a_tuning_may_spend_what_the_spec_says(store, address, monkeypatch, rule, safe_trials):
    told = []

    def tuned(*_, limits, **__):
        told.append(limits)
        raise NoTrialCompleted("none")

    figures(monkeypatch)
    monkeypatch.setattr(choice, "best_architecture", tuned)
    given = {"max_trials": 7, "deadline_seconds": 900, "trial_deadline_seconds": 60, "early_stopping": rule}
    tuning = SPEC.hyperparameters.model_copy(update=given)
    run("initialize", a_config(address, a_pool(store), SPEC.model_copy(update={"hyperparameters": tuning})))
    assert told == [Limits(7, 60, 900, trials_before_pruning=safe_trials)]


class Memory(dict):
    """A resume point in memory."""

    save = dict.__setitem__
    load = dict.get


class NeverStops:
    def raise_if_requested(self):
        """Never."""


def test_the_time_of_an_attempt_that_was_killed_counts():
    now = [100.0]
    memory = Memory()
    first = TimeLimit(10, memory, NeverStops(), lambda: now[0])
    now[0] += 6
    first(1, 0.5)
    second = TimeLimit(10, memory, NeverStops(), lambda: now[0])
    now[0] += 3
    second.raise_if_requested()
    now[0] += 1
    with pytest.raises(TrialEnded, match="SearchDeadlineExceeded"):
        second.raise_if_requested()


def test_without_validation_rows_there_is_nothing_to_choose_by(store, address):
    pool = [write_scenario(store, POOL[0], rows={"validation": 0})]
    with pytest.raises(DataInvalid, match="no scenario of the pool has validation rows on which auc can be estimated"):
        run("initialize", a_config(address, pool))


def test_the_spaces_flops_are_the_heavy_models():
    architecture = Architecture(behavior_width=6, behavior_heads=3, profile_layers=[8], prediction_layers=[8])
    space = heavy_space(FEATURES, architecture, ENCODER)
    super_model = heavy_super_model(FEATURES, architecture, ENCODER, seed=1)
    for seed in range(5):
        picks = super_model.distribution.sample(1.0, torch.Generator().manual_seed(seed)).picks
        cell = space.decode_picks(picks)
        assert cell.attention_heads == 3
        assert HeavyModel(FEATURES, "Searched", architecture, cell).flops() == space.flops(picks)


@pytest.mark.parametrize(("width", "cell"), [(5, True), (4, False)])
def test_a_cell_that_does_not_fit_or_is_missing_is_refused(width, cell):
    layers = [{"input": 0, "operation": "conv1"}]
    given = LightArchitecture.model_validate({"width": width, "layers": layers}) if cell else None
    with pytest.raises(ConfigInvalid, match=r"cell\.width: 5 is not|encoder Searched has no cell"):
        HeavyModel(FEATURES, "Searched", SMALL, given)


def test_a_searched_heavy_model_is_adapted_gives_feedback_and_is_folded_as_any_other(store, address, monkeypatch):
    figures(monkeypatch, tuned=0.1, searched=0.9)
    run("initialize", a_config(address, a_pool(store)))
    manifest = write_scenario(store, ARRIVAL, seed=3)
    adapted = run("adapt", adapt_config(address, manifest))
    first = Chain(store).version(1)
    assert adapted.flops == first.flops
    assert store.exists(feedback_key(ARRIVAL, 1))
    parameters = MetaUpdateParameters(learning_rate=0.1, staleness_exponent=0.5, clip_norm=1)
    second = fold(store, [(ARRIVAL, 1)], parameters, orphans_seconds=86_400).version
    assert (second.number, second.folded_count, second.rejected) == (2, 1, [])
    assert (second.model.encoder, second.model.cell, second.initialization) == (
        "Searched",
        first.model.cell,
        first.initialization,
    )
    before, after = load_version(store, first).state_dict(), load_version(store, second).state_dict()
    moved = [name for name in before if ".layers.cell." in name and not torch.equal(before[name], after[name])]
    assert moved
    heavy = load_heavy(store, result_key(ARRIVAL, 1, "adapt"))
    assert heavy.flops() == first.flops


@pytest.mark.slow
def what_was_found(store):
    version = Chain(store).version(1)
    return version.checkpoint.sha256, version.model.cell, version.initialization


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a search comes to that nobody kills."""
    address = StoreAddress(uri=f"file://{tmp_path_factory.mktemp('undisturbed')}/store")
    store = open_store(address)
    run("initialize", a_config(address, a_pool(store)))
    return what_was_found(store)


@pytest.mark.parametrize("word", ["trial=0", "searchEpoch=1", "architecture search, epoch 2"])
def test_killed_anywhere_it_resumes_and_ends_in_the_same_version(undisturbed, tmp_path, word):
    address = StoreAddress(uri=f"file://{tmp_path}/killed")
    store = open_store(address)
    config = a_config(address, a_pool(store))
    killed_after(started(config, tmp_path), word)
    assert Chain(store).head_number() == 0
    run("initialize", config)
    assert what_was_found(store) == undisturbed
