"""What a light model answers for a whole split."""

import torch
from torch import Tensor

from longtail_trainer.data.encoded import EncodedSplit, batches
from longtail_trainer.models.contract import RankingModel


@torch.no_grad()
def scores(model: RankingModel, split: EncodedSplit, batch_size: int = 4096) -> Tensor:
    """Logits (samples, labels), in the split's order, in evaluation mode, on the CPU."""
    device = next(model.parameters()).device
    model.eval()
    logits = [model(batch.to(device)).cpu() for batch in batches(split, batch_size)]
    return torch.cat(logits) if logits else torch.zeros(0, len(model.features.data_schema.labels))
