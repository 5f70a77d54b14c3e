"""A tiny light model, as the trainer's export makes them: raw values in, vocabulary inside the graph. No torch."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.parser

from longtail_api.store_layout import model_card_key, model_key, requests_key
from longtail_api.store_objects import AltLight, InferenceTensor, ModelCard, RecordedRequest, TensorSpec
from longtail_store import write_object_if_absent
from longtail_store.file_store import FileStore

SCENARIO = "shop.spring.12345678"
NAME = "spring"
LABEL = "click"
LONGEST = 5
INPUTS = [
    TensorSpec(name="context.slot", datatype="BYTES", shape=[-1]),
    TensorSpec(name="profile.age", datatype="FP32", shape=[-1]),
    TensorSpec(name="behaviors.clicks.item", datatype="BYTES", shape=[-1, -2]),
    TensorSpec(name="behaviors.clicks.price", datatype="FP32", shape=[-1, -2]),
    TensorSpec(name="behaviors.clicks:length", datatype="INT64", shape=[-1]),
]
# logit = sign · (slot + 0.1 · age + Σ over events (item + 0.01 · price)); a missing number counts 0.
_GRAPH = """
<ir_version: 9, opset_import: ["" : 20, "ai.onnx.ml" : 3]>
tiny (string[batch] slot, float[batch] age, string[batch, width] item, float[batch, width] price, int64[batch] length)
    => (float[batch] click)
<float zero = {{0}}, float tenth = {{0.1}}, float hundredth = {{0.01}}, float sign = {{{sign}}}, int64 one = {{1}},
 int64 first = {{0}}, int64[1] last = {{1}}, int64[1] axis = {{1}}>
{{
  slot_value = ai.onnx.ml.LabelEncoder
    <keys_strings = ["top", "side"], values_floats = [2.0, -1.0], default_float = 0.0> (slot)
  item_value = ai.onnx.ml.LabelEncoder
    <keys_strings = ["a", "b"], values_floats = [0.5, -0.5], default_float = 0.0> (item)
  age_missing = IsNaN (age)
  age_known = Where (age_missing, zero, age)
  age_part = Mul (age_known, tenth)
  price_missing = IsNaN (price)
  price_known = Where (price_missing, zero, price)
  price_part = Mul (price_known, hundredth)
  event = Add (item_value, price_part)
  shape = Shape (item)
  width_ = Gather (shape, one)
  position = Range (first, width_, one)
  length_column = Unsqueeze (length, axis)
  inside = Less (position, length_column)
  kept = Where (inside, event, zero)
  events = ReduceSum <keepdims = 0> (kept, axis)
  static = Add (slot_value, age_part)
  sum = Add (static, events)
  logit = Mul (sum, sign)
  {score}
}}
"""
_ONNX_NAMES = {"slot": "context.slot", "age": "profile.age", "item": "behaviors.clicks.item",
               "price": "behaviors.clicks.price", "length": "behaviors.clicks:length"}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """A model in a store."""

    store: FileStore
    version: str
    sha256: str
    card: ModelCard

    @property
    def uri(self) -> str:
        return f"file://{self.store.root}"


def graph(sign: float = 1.0, score: str = "click = Sigmoid (logit)") -> bytes:
    """The model as ONNX. `sign=-1` ranks the wrong way round; `score` is the last node."""
    model = onnx.parser.parse_model(_GRAPH.format(sign=sign, score=score))
    for node in model.graph.node:
        node.input[:] = [_ONNX_NAMES.get(name, name) for name in node.input]
    for value in model.graph.input:
        value.name = _ONNX_NAMES[value.name]
    onnx.checker.check_model(model)
    return model.SerializeToString()


def store_model(
    folder: Path, version: str = "v3", onnx_bytes: bytes | None = None, *, inputs: list[TensorSpec] = INPUTS
) -> Stored:
    """Put a model and its card into a file:// store."""
    content = onnx_bytes or graph()
    store = FileStore(folder)
    sha256 = hashlib.sha256(content).hexdigest()
    card = ModelCard(
        scenario=SCENARIO,
        version=version,
        sha256=sha256,
        bytes=len(content),
        inputs=inputs,
        outputs=[TensorSpec(name=LABEL, datatype="FP32", shape=[-1])],
        max_lengths={"behaviors.clicks": LONGEST},
        labels=[LABEL],
        data_version="d1",
        agnostic_version=1,
        model=AltLight(width=1, layers=[]),
        flops=1,
        heavy_flops=2,
        requests_key=requests_key(SCENARIO, "d1"),
    )
    store.put_if_absent(model_key(SCENARIO, version), content)
    write_object_if_absent(store, model_card_key(SCENARIO, version), card)
    return Stored(store, version, sha256, card)


def tensor(name: str, datatype: str, shape: list[int], data: list[object]) -> InferenceTensor:
    return InferenceTensor(name=name, datatype=datatype, shape=shape, data=data)


def row_inputs(
    slot: str = "top",
    age: float | None = 30.0,
    items: tuple[str, ...] = ("a",),
    prices: tuple[float | None, ...] = (1.0,),
) -> list[InferenceTensor]:
    """The inputs of one row."""
    return [
        tensor("context.slot", "BYTES", [1], [slot]),
        tensor("profile.age", "FP32", [1], [age]),
        tensor("behaviors.clicks.item", "BYTES", [1, len(items)], list(items)),
        tensor("behaviors.clicks.price", "FP32", [1, len(prices)], list(prices)),
        tensor("behaviors.clicks:length", "INT64", [1], [len(items)]),
    ]


def store_requests(store: FileStore, rows: list[RecordedRequest], data_version: str = "d1") -> str:
    """Write `requests.jsonl`; its key."""
    key = requests_key(SCENARIO, data_version)
    store.put_if_absent(key, b"".join(row.model_dump_json(by_alias=True).encode() + b"\n" for row in rows))
    return key


def recorded_rows(number: int = 40) -> list[RecordedRequest]:
    """Rows that the model ranks perfectly, with a feature that it doesn't use."""
    unused = tensor("profile.unused", "BYTES", [1], ["x"])
    return [
        RecordedRequest(
            inputs=[*row_inputs(slot="top" if row % 2 else "side", age=float(row % 7), items=("b",) * (row % 3),
                                prices=(None,) * (row % 3)), unused],
            labels={LABEL: float(row % 2), "other": None},
        )
        for row in range(number)
    ]  # fmt: skip
