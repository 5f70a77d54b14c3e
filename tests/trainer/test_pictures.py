"""Pictures: what they show, and that they never come in the way of a step."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_api.run_config import StoreAddress
from longtail_api.store_layout import picture_key, picture_name
from longtail_api.store_objects import Layer, LightArchitecture, Metric
from longtail_store import Store, StoreUnreachable, open_store
from longtail_trainer.pictures import (
    Candidates,
    CellParts,
    Curve,
    Distribution,
    Kept,
    Model,
    cell,
    learning_curves,
    probabilities,
    publish,
    published,
    quality_cost,
)
from longtail_trainer.pictures.axes import Scale, large, padded
from longtail_trainer.pictures.cell import Edge, lanes
from longtail_trainer.pictures.drawing import Drawing
from longtail_trainer.pictures.probabilities import MOST_COLUMNS

ARCHITECTURE = LightArchitecture(
    width=8,
    layers=[
        Layer(input=0, operation="conv3", residuals=[0]),
        Layer(input=0, operation="average_pool3"),
        Layer(input=1, operation="lstm", residuals=[0, 1, 2]),
    ],
)
PARTS = CellParts(ARCHITECTURE, [12_300, 420, 98_000], 4_321, 200_000, {"visits": [0.2, 0.1, 0.7]})
CURVES = [
    Curve("training rows", [(1, 0.7), (2, 0.5), (3, 0.45)]),
    Curve("validation rows", [(1, 0.8), (2, 0.6), (3, 0.65)]),
]
HEAVY = Model("heavy model", 412_345, Metric(value=0.842, low=0.81, high=0.87))
LIGHT = Model("light model", 61_234, Metric(value=0.838, low=0.8, high=0.865))
CANDIDATES = Candidates([(20_000, 0.7), (80_000, 0.78)])
DISTRIBUTIONS = [
    Distribution("Layer 1", "input: the output of", ("original input",), [[1.0], [1.0]], frozenset({0})),
    Distribution("Layer 1", "operation", ("conv1", "lstm"), [[0.5, 0.5], [0.2, 0.8]], frozenset({1})),
    Distribution("Layer 1", "residual edge from (on)", ("original input",), [[0.5], [0.31]], frozenset()),
]
EVERY = {
    "cell": lambda: cell(PARTS),
    "learning-curves": lambda: learning_curves("Learning curves", CURVES, Kept(2, 0.6)),
    "probabilities": lambda: probabilities([1, 2], DISTRIBUTIONS),
    "quality-cost": lambda: quality_cost("AUC", HEAVY, LIGHT, CANDIDATES, 200_000),
}


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{name}"))


def words(svg: str) -> list[str]:
    return [element.text or "" for element in elements(svg, "text")]


@pytest.mark.parametrize("name", EVERY)
def test_the_same_input_gives_the_same_bytes(name: str):
    assert EVERY[name]() == EVERY[name]()
    assert not re.search(r"\d{4}-\d\d-\d\d|\bid=", EVERY[name]())


@pytest.mark.parametrize("name", EVERY)
def test_every_word_begins_and_ends_inside_of_the_picture(name: str):
    svg = EVERY[name]()
    root = ElementTree.fromstring(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for text in elements(svg, "text"):
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        assert 0 < y < height
        if "transform" in text.attrib:
            continue
        # Half a letter's height a letter is about what the fonts take.
        length = 0.55 * float(text.attrib["font-size"]) * len(text.text or "")
        left = {"start": x, "middle": x - length / 2, "end": x - length}[text.attrib["text-anchor"]]
        assert left >= -1
        assert left + length <= width + 1, text.text


def test_the_cell_shows_operations_their_flops_and_the_weights_of_the_sum():
    shown = words(cell(PARTS))
    assert {"conv3", "average_pool3", "lstm", "12.3k FLOPs", "420 FLOPs", "98k FLOPs"} <= set(shown)
    assert {"0.20", "0.10", "0.70"} <= set(shown)
    assert "115,041 FLOPs, of 200,000 allowed: 110,720 in the layers, 4,321 outside of them" in shown


def test_the_cell_draws_an_arrow_for_every_input_and_residual_edge_and_layer():
    """An arrow's head is a triangle; two are in the legend. Residual edges into one sum share theirs."""
    assert len(elements(cell(PARTS), "polygon")) == 2 + 3 + 2 + 3
    dots = [circle for circle in elements(cell(PARTS), "circle") if circle.attrib["fill"] == "#D55E00"]
    assert len(dots) == sum(len(layer.residuals) for layer in ARCHITECTURE.layers)


def test_a_cell_without_known_weights_says_nothing_of_them():
    shown = words(cell(CellParts(ARCHITECTURE, [1, 2, 3], 4)))
    assert "attentive sum" in shown
    assert "attentive sum, weight: mean over samples" not in shown


def test_weights_of_several_sequences_are_named():
    weights = {"visits": [0.2, 0.1, 0.7], "a_very_long_name": [0.3, 0.3, 0.4]}
    shown = words(cell(CellParts(ARCHITECTURE, [1, 2, 3], 4, None, weights)))
    assert "visits 0.70" in shown
    assert "a_very_long… 0.40" in shown


EDGES = st.tuples(st.integers(0, 10), st.integers(1, 6)).map(lambda pair: Edge(pair[0], pair[0] + pair[1]))


@given(st.lists(EDGES, unique=True, max_size=30))
def test_edges_in_one_lane_never_overlap(edges: list[Edge]):
    lane = lanes(edges)
    assert set(lane) == set(edges)
    for one in edges:
        for other in edges:
            if one != other and lane[one] == lane[other]:
                assert one.target <= other.source or other.target <= one.source


def test_the_kept_epoch_is_marked():
    assert "kept: epoch 2" in words(learning_curves("t", CURVES, Kept(2, 0.6)))
    assert "kept: the start" in words(learning_curves("t", CURVES, Kept(0, 0.62)))
    assert not [word for word in words(learning_curves("t", CURVES, Kept(2, float("inf")))) if "kept" in word]


def test_one_epoch_is_enough_and_none_is_not():
    assert words(learning_curves("t", [Curve("training rows", [(1, 0.5)])]))
    with pytest.raises(ValueError, match="no epoch"):
        learning_curves("t", [Curve("training rows", [])])


def test_an_epoch_that_was_repeated_counts_once_and_what_is_no_number_not_at_all():
    records = [
        {"epoch": 2, "loss": 0.5},
        {"epoch": 1, "loss": 0.7},
        {"epoch": 2, "loss": 0.4},
        {"epoch": 3, "loss": float("nan")},
        {"epoch": 4, "loss": None},
        {"trial": 1},
    ]
    assert Curve.recorded("c", records, "loss").points == [(1, 0.7), (2, 0.4)]


def test_probabilities_show_every_option_and_mark_what_was_chosen():
    svg = probabilities([1, 2], DISTRIBUTIONS)
    bold = [text.text for text in elements(svg, "text") if text.attrib.get("font-weight") == "bold"]
    assert {"lstm", "0.80", "original input", "1.00"} <= set(bold)
    assert "conv1" not in bold
    assert {"conv1", "0.20", "0.31"} <= set(words(svg))


def test_of_many_epochs_the_first_and_the_last_are_shown():
    epochs = list(range(1, 1001))
    history = [[epoch / 1000] for epoch in epochs]
    svg = probabilities(
        epochs, [Distribution("Layer 1", "residual edge from (on)", ("original input",), history, frozenset())]
    )
    assert {"1", "1000", "1.00"} <= set(words(svg))
    crisp = [box for box in elements(svg, "rect") if box.attrib.get("height") == "15"]
    assert 20 < len(crisp) <= MOST_COLUMNS


def test_models_candidates_and_budget_are_explained():
    shown = words(EVERY["quality-cost"]())
    assert "heavy model: AUC 0.842 [0.810, 0.870] on test rows, 412,345 FLOPs" in shown
    assert "light model: AUC 0.838 [0.800, 0.865] on test rows, 61,234 FLOPs" in shown
    assert "what the search considered: validation rows, with shared weights" in shown
    assert "budget: 200,000 FLOPs" in shown


def test_a_figure_that_cannot_be_estimated_is_said_and_not_drawn():
    unknown = Model("heavy model", 9, Metric(reason="MetricNotEstimable"))
    svg = quality_cost("AUC", unknown, LIGHT)
    assert "heavy model: AUC can't be estimated, 9 FLOPs" in words(svg)
    with pytest.raises(ValueError, match="no AUC is known"):
        quality_cost("AUC", unknown, Model("light model", 3, Metric()))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_ticks_are_few_ascending_and_inside(low: float, span: float, logarithmic: bool):
    low = abs(low) + 1 if logarithmic else low
    high = low + max(span, abs(low) * 0.5)
    ticks = Scale(low, high, 0, 100, logarithmic).ticks()
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 13
    room = (high - low) * 1e-6
    assert all(low - room <= tick <= high + room for tick in ticks)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5))
def test_an_axis_has_a_length_whatever_its_values(values: list[float]):
    low, high = padded(values)
    assert low < min(values) <= max(values) < high


def test_large_numbers_are_short():
    assert [large(value) for value in (0, 999, 12_300, 2_000_000, 3e9)] == ["0", "999", "12.3k", "2M", "3G"]


def test_words_are_escaped():
    drawing = Drawing("a < b & c", 10, 10)
    drawing.text((1, 9), '<script>"&')
    assert words(drawing.svg()) == ['<script>"&']


class Unreachable:
    """A store that doesn't answer."""

    def put_advisory(self, key: str, data: bytes) -> None:
        raise StoreUnreachable("down")

    def list(self, prefix: str) -> list[str]:
        raise StoreUnreachable("down")


def test_a_picture_is_found_again_by_its_name(tmp_path):
    store = open_store(StoreAddress(uri=f"file://{tmp_path}"))
    publish(store, "runs/a/1/search", "cell", EVERY["cell"])
    publish(store, "runs/a/1/search", "cell", EVERY["cell"])  # another attempt
    assert published(store, "runs/a/1/search") == {"cell": "runs/a/1/search/pictures/cell.svg"}
    assert store.get("runs/a/1/search/pictures/cell.svg").decode() == EVERY["cell"]()
    assert published(store, "runs/a/2/search") == {}


def test_what_fails_is_one_line_of_log(tmp_path, caplog: pytest.LogCaptureFixture):
    def fails() -> str:
        raise ZeroDivisionError("no epoch")

    store: Store = open_store(StoreAddress(uri=f"file://{tmp_path}"))
    publish(store, "runs/a/1/search", "cell", fails)
    assert "cell.svg was not drawn (ZeroDivisionError: no epoch)" in caplog.text
    away: Store = Unreachable()  # type: ignore[assignment]
    publish(away, "runs/a/1/search", "cell", EVERY["cell"])
    assert published(away, "runs/a/1/search") == {}
    assert "can't be listed" in caplog.text


def test_the_name_of_a_picture_is_in_its_key():
    key = picture_key("runs/a/1/search", "cell")
    assert picture_name("runs/a/1/search", key) == "cell"
    assert picture_name("runs/a/2/search", key) is None
    assert picture_name("runs/a/1/search", "runs/a/1/search/pictures/x/y.svg") is None
