"""Export: the trained light model with its feature encoding as one ONNX graph, gated by parity and timed."""

from longtail_trainer.export.graph import export
from longtail_trainer.export.latency import Latency, measure_latency
from longtail_trainer.export.parity import check_parity
from longtail_trainer.export.signature import inputs_of, outputs_of

__all__ = ["Latency", "check_parity", "export", "inputs_of", "measure_latency", "outputs_of"]
