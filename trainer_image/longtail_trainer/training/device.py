"""Where tensors live while a step trains."""

import torch

from longtail_api.shared_specs import Device
from longtail_trainer.data.encoded import EncodedSplit
from longtail_trainer.data.source import BatchSource, InMemory, OnDevice, Pinned
from longtail_trainer.running.errors import ConfigInvalid
from longtail_trainer.running.step import StepContext

SHARE_FOR_ROWS = 0.5
"""Of the memory that a GPU has free: rows that need more stay outside, and come batch by batch."""


def training_device(threads: int, wanted: Device = "Auto") -> torch.device:
    """The device that is wanted; Auto: the GPU where there is one, else the CPU. Torch has this many threads from now.

    Raises `ConfigInvalid` where a GPU is wanted and there is none.
    """
    torch.set_num_threads(threads)
    there = torch.cuda.is_available()
    if wanted == "Cuda" and not there:
        raise ConfigInvalid(
            "trainer.device is Cuda, but this container has no CUDA device; give it one by trainer.resources.limits "
            "(nvidia.com/gpu), or set trainer.device to Auto",
            reason="NoCudaDevice",
        )
    return torch.device("cuda" if there and wanted != "Cpu" else "cpu")


def device_of(context: StepContext) -> torch.device:
    """Where the step's models are trained, as its config says. Raises as `training_device` does."""
    return training_device(context.threads, context.config.device)


def source_near(rows: EncodedSplit, device: torch.device) -> BatchSource:
    """The rows' batches as they come fastest to a device: cut there where the rows fit, else copied ahead."""
    if device.type != "cuda":
        return InMemory(rows)
    free, _ = torch.cuda.mem_get_info(device)
    return OnDevice(rows, device) if rows.bytes() <= SHARE_FOR_ROWS * free else Pinned(rows)
