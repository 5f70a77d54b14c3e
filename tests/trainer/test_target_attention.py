"""Attention from the candidate to its history: what it computes and costs, what it learns, and where it can't be."""

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from longtail_api.architecture import Architecture
from longtail_api.data_schema import BehaviorSequence, DataSchema, FeatureColumns, LabelColumn
from longtail_api.heavy_model import HeavyModelSpec
from longtail_api.light_model_search import SearchSpace
from longtail_api.store_objects import AltHeavy, AltLight, Features
from longtail_trainer.data.encoded import EncodedSequence, EncodedSplit, batches, offsets_of
from longtail_trainer.export import check_parity, export
from longtail_trainer.models.alt_heavy.model import HeavyModel
from longtail_trainer.models.alt_light.family import AltLightFamily
from longtail_trainer.models.alt_light.model import LightModel, predefined_architecture
from longtail_trainer.models.blocks.embeddings import EmbeddingTables
from longtail_trainer.models.blocks.target_attention import FLOOR, History, SharedColumns, TargetAttention
from longtail_trainer.models.contract import RankingModel
from longtail_trainer.operations import Sequence
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.search.budget import Budget
from longtail_trainer.search.spaces.alt_cell import space_of
from longtail_trainer.training.evaluation import evaluate
from longtail_trainer.training.scoring import predict
from tests.trainer.tiny_features import a_schema_of_items, features_of, samples

torch.set_num_threads(1)

FEATURES = features_of(a_schema_of_items())
SMALL = Architecture(
    behavior_width=4, behavior_layers=1, profile_layers=[8, 4], prediction_layers=[6], embedding_size=3
)
SIZES = {"clicks": 6, "views": 4}


def heavy(features: Features = FEATURES, on: bool = True) -> HeavyModel:
    torch.manual_seed(1)
    return HeavyModel(features, "LSTM", SMALL.model_copy(update={"target_attention": on})).eval()


def light(features: Features = FEATURES, on: bool = True, names: tuple[str, ...] = ()) -> LightModel:
    torch.manual_seed(1)
    plain = predefined_architecture(width=4, layers=2, operation="conv3")
    return LightModel(features, plain.model_copy(update={"target_attention": on}), names).eval()


Build = Callable[..., RankingModel]
MODELS = pytest.mark.parametrize("build", [heavy, light], ids=["heavy", "light"])


def an_attention(size: int = 3, width: int = 4) -> tuple[TargetAttention, EmbeddingTables]:
    """From one column of candidates to two of the events."""
    torch.manual_seed(2)
    tables = EmbeddingTables(FEATURES, ["context.item"], size)
    return TargetAttention([SharedColumns("items", (1,), (0, 1))], tables, Sequence(5, width)), tables


def a_history(lengths: list[int], width: int = 4) -> tuple[list[Tensor], History]:
    """Candidates of as many samples, and their events."""
    generator = torch.Generator().manual_seed(3)
    longest = max(1, *lengths)
    mask = torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]
    categorical = [torch.randint(0, 4, mask.shape, generator=generator) * mask for _ in range(2)]
    embedded = torch.randn(*mask.shape, width, generator=generator) * mask.unsqueeze(-1)
    candidate = [
        torch.zeros(len(lengths), dtype=torch.int64),
        torch.randint(1, 4, (len(lengths),), generator=generator),
    ]
    return candidate, History(categorical, embedded, mask)


def test_it_gives_the_softmax_of_scaled_products_over_the_events_and_the_largest_product():
    attention, tables = an_attention()
    with torch.no_grad():
        attention.normed_query.weight.copy_(torch.tensor([0.5, 2.0, 1.5]))
    candidate, history = a_history([5, 2, 1])
    given = attention(candidate, history)
    assert given.shape == (3, attention.width) == (3, 5)
    weight = tables.table("items").weight
    for sample, length in enumerate([5, 2, 1]):
        query = weight[candidate[1][sample]]
        query = query / (query.square().mean() + FLOOR).sqrt() * torch.tensor([0.5, 2.0, 1.5])
        scores: list[Tensor] = []
        for event in range(length):
            key = weight[history.categorical[0][sample, event]] + weight[history.categorical[1][sample, event]]
            key = key / (key.square().mean() + FLOOR).sqrt()
            scores.append((query * key).sum() / 3**0.5)
        shares = torch.stack(scores).softmax(0)
        expected = sum(shares[event] * history.embedded[sample, event] for event in range(length))
        torch.testing.assert_close(given[sample, :4], expected)
        torch.testing.assert_close(given[sample, 4], torch.stack(scores).max())


def test_a_sample_without_events_gets_zeros():
    attention, _ = an_attention()
    candidate, history = a_history([0, 3, 0])
    given = attention(candidate, history)
    assert given[[0, 2]].eq(0).all()
    assert given[1].ne(0).any()


def test_what_stands_in_the_padding_is_never_read():
    attention, _ = an_attention()
    candidate, history = a_history([4, 1, 0])
    before = attention(candidate, history)
    for column in history.categorical:
        column[~history.mask] = 3
    assert torch.equal(attention(candidate, history), before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_answers_and_gradients_stay_numbers(dtype: torch.dtype):
    attention, tables = an_attention()
    candidate, history = a_history([5, 2, 0, 1])
    candidate[1][3] = 0  # unknown: an embedding of zeros
    expected = attention(candidate, history)
    nn.ModuleList([attention, tables]).to(dtype)
    halved = History(history.categorical, history.embedded.to(dtype).requires_grad_(), history.mask)
    given = attention(candidate, halved)
    torch.testing.assert_close(given.float(), expected, atol=0.05, rtol=0.05)
    given.float().sum().backward()
    for gradient in (halved.embedded.grad, tables.table("items").weight.grad, attention.normed_query.weight.grad):
        assert gradient is not None
        assert gradient.isfinite().all()


@MODELS
def test_every_parameter_takes_part_in_the_prediction(build: Build):
    model = build()
    model(samples(FEATURES, 200).select(torch.arange(200))).square().sum().backward()
    assert {name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()} <= {
        name for name, _ in model.named_parameters() if name.endswith("attend.bias")
    }


@MODELS
def test_off_it_leaves_the_model_as_it_was(build: Build):
    off, on = build(on=False), build()
    beside = {name for name in on.state_dict() if name.startswith("candidate.")}
    assert beside == {f"candidate.attentions.{number}.normed_query.weight" for number in range(2)}
    assert set(off.state_dict()) == set(on.state_dict()) - beside
    assert off(samples(FEATURES, 7).select(torch.arange(7))).shape == (7, 1)


def counted(model: RankingModel) -> int:
    """FLOPs of the products that torch sees, of a sample with maxLength events."""
    split = samples(FEATURES, 400)
    lengths = [one.offsets.diff() for one in split.sequences.values()]
    full = torch.stack([length == most for length, most in zip(lengths, SIZES.values(), strict=True)]).all(0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(split.select(full.nonzero()[:1, 0]))
    return counter.get_total_flops()


@pytest.mark.parametrize(("build", "size"), [(heavy, SMALL.embedding_size), (light, 4)], ids=["heavy", "light"])
def test_flops_are_exact(build: Build, size: int):
    off, on = build(on=False), build()
    unseen = 0
    for length in SIZES.values():
        unseen += size  # the scaling of the query
        unseen += length  # the largest score
    unseen += SIZES["views"] * size  # the sum of an event's two items
    assert on.flops() - off.flops() == counted(on) - counted(off) + unseen


def test_the_cost_is_in_what_no_search_can_save_and_so_in_the_budget():
    spec = SearchSpace(layers=2, operations=["conv1", "lstm"], width=4, target_attention=True)
    space, without = space_of(FEATURES, spec), space_of(FEATURES, spec.model_copy(update={"target_attention": False}))
    assert space.fixed_flops - without.fixed_flops == light().flops() - light(on=False).flops()
    picks = (0,) * len(space.choices)
    found = space.decode_picks(picks)
    flops = LightModel(FEATURES, found).flops()
    assert found.target_attention
    assert space.picks(space.encode(found)) == picks
    assert space.flops(picks) == flops
    assert space.inside(picks, Budget(flops=flops))
    assert not space.inside(picks, Budget(flops=flops - 1))


def test_an_architecture_without_it_is_none_of_a_space_with_it():
    space = space_of(FEATURES, SearchSpace(layers=1, operations=["conv1"], width=4, target_attention=True))
    other = predefined_architecture(width=4, layers=1, operation="conv1")
    with pytest.raises(ConfigInvalid, match="is none of a space of"):
        space.encode(other)


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), ("item", "age")], ids=["all features", "items and age"])
def test_the_exported_graph_answers_as_the_model_does(names: tuple[str, ...]):
    model = light(names=names)
    with torch.no_grad():
        model.tables.table("items").weight.normal_()
    assert check_parity(model, export(model), 1e-4) < 1e-5


def test_a_stored_record_says_so_only_where_it_is_on():
    plain = predefined_architecture()
    for record in (AltLight.of(plain), AltHeavy(encoder="LSTM", architecture=Architecture())):
        assert b"targetAttention" not in record.model_dump_json(by_alias=True).encode()
    on = AltLight.of(plain.model_copy(update={"target_attention": True}))
    assert AltLight.model_validate_json(on.model_dump_json(by_alias=True)) == on
    assert AltLightFamily().words(on).endswith("; target attention")


def test_a_heavy_model_is_told_by_its_architecture_and_not_by_its_cell():
    cell = predefined_architecture().model_copy(update={"target_attention": True})
    with pytest.raises(ValidationError, match=r"set architecture\.targetAttention"):
        AltHeavy(encoder="Searched", architecture=Architecture(), cell=cell)


@MODELS
@pytest.mark.parametrize(
    "shared", [[], ["behaviors.clicks.item", "behaviors.views.item"]], ids=["no vocabulary", "none with the context"]
)
def test_it_is_refused_where_no_vocabulary_relates_candidate_and_events(build: Build, shared: list[str]):
    with pytest.raises(ConfigInvalid, match=r"^targetAttention: no context column .* schema\.sharedVocabularies"):
        build(features_of(a_schema_of_items(shared)))


def test_a_light_model_needs_both_sides_among_its_features():
    with pytest.raises(ConfigInvalid, match=r"both in light\.features"):
        light(names=("slot", "clicks", "views"))
    assert [one.columns for one in light(names=("context.item", "clicks")).candidate.each()] == [
        (SharedColumns("items", (0,), (1,)),)
    ]


def test_a_heavy_model_is_refused_that_has_nothing_to_attend_to():
    def spec(shared: dict[str, list[str]]) -> HeavyModelSpec:
        return HeavyModelSpec.model_validate(
            {
                "schema": a_schema_of_items([]).to_json_dict() | {"sharedVocabularies": shared},
                "architecture": {"targetAttention": True},
                "storage": {"uri": "file:///store"},
            }
        )

    assert spec({"items": ["context.item", "behaviors.clicks.item"]}).architecture.target_attention
    with pytest.raises(ValidationError, match=r"architecture\.targetAttention has nothing to compare: .*; name one"):
        spec({"items": ["behaviors.views.item", "behaviors.clicks.item"]})


# A label that says whether the candidate is among the last five items: of 20 items, each as often as any other.

ITEMS = [f"item {number}" for number in range(20)]
SEEN_BEFORE = DataSchema(
    labels=[LabelColumn(name="bought")],
    context=FeatureColumns(categorical=["item"]),
    behaviors=[BehaviorSequence(name="clicks", categorical=["item"], max_length=5)],
    shared_vocabularies={"items": ["context.item", "behaviors.clicks.item"]},
)
OF_ITEMS = Features(
    data_schema=SEEN_BEFORE,
    vocabularies={"context.item": ITEMS, "behaviors.clicks.item": ITEMS},
    numeric={},
)


def seen_before(count: int, seed: int) -> EncodedSplit:
    generator = torch.Generator().manual_seed(seed)
    events = torch.stack([torch.randperm(len(ITEMS), generator=generator)[:5] + 1 for _ in range(count)])
    one_of_them = events[torch.arange(count), torch.randint(0, 5, (count,), generator=generator)]
    any_item = torch.randint(1, len(ITEMS) + 1, (count,), generator=generator)
    candidate = torch.where(torch.rand(count, generator=generator) < 0.5, one_of_them, any_item)
    labels = (events == candidate[:, None]).any(1, keepdim=True).float()
    clicks = EncodedSequence(
        events.reshape(-1, 1).to(torch.int8), torch.zeros(5 * count, 0), offsets_of(torch.full((count,), 5))
    )
    return EncodedSplit(
        candidate[:, None].to(torch.int8),
        torch.zeros(count, 0),
        {"clicks": clicks},
        labels,
        torch.ones_like(labels, dtype=torch.bool),
        torch.ones(count),
        torch.arange(count),
    )


def auc_after(model: RankingModel, steps: int) -> float:
    """On other rows, after so many steps on 640."""
    rows, test = seen_before(640, 1), seen_before(500, 2)
    order = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(steps // 10):
        for batch in batches(rows, 64, order):
            loss = functional.binary_cross_entropy_with_logits(model(batch), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    value = evaluate(predict(model.eval(), test), test, OF_ITEMS)["auc"].value
    assert value is not None
    return value


@MODELS
def test_it_learns_at_once_that_an_item_was_seen_before_which_the_plain_model_does_not(build: Build):
    assert auc_after(build(OF_ITEMS), steps=60) > 0.85
    assert auc_after(build(OF_ITEMS, on=False), steps=60) < 0.65
