"""Where tensors live while a step trains."""

import torch


def training_device(threads: int) -> torch.device:
    """The accelerator where there is one, else the CPU with this many threads."""
    torch.set_num_threads(threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
