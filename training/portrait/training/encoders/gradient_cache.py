"""Gradients of a loss over more texts than those whose activations fit into memory (GradCache, Gao et al. 2021)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from portrait.training import distributed


def backpropagate_in_chunks(
    encode: Callable[[NDArray[np.int64]], Tensor],
    rows: NDArray[np.int64],
    compute_loss: Callable[[Tensor], Tensor],
    chunk: int,
) -> Tensor:
    """Add the gradients of a loss over the vectors of all rows to the encoder's parameters.

    The vectors are computed without gradients first, then the loss and its gradient with respect to them. Each chunk
    is encoded again with gradients, which the chain rule continues to the parameters. The result is that of one pass
    over all rows, as long as the encoder returns the same vectors twice: it has no dropout.

    Processes that train together call it together. Each encodes its share of the rows and gets the gradients of that
    share, which `distributed.add_up_gradients` adds up to those of all rows.

    Args:
        encode: from rows to `[rows, hidden]`.
        rows: rows that the loss is over.
        compute_loss: from `[rows, hidden]` to a scalar; the same in all processes.
        chunk: rows whose activations are in memory at once.

    Returns:
        The loss, without gradients.
    """
    share = distributed.take_share(rows)
    # A process without a share encodes a row all the same: all must have gradients of the same parameters.
    parts = [share[begin : begin + chunk] for begin in range(0, len(share), chunk)] or [rows[:1]]
    with torch.no_grad():
        own = torch.cat([encode(part) for part in parts])[: len(share)]
        vectors = distributed.gather_rows(own, len(rows))
    vectors.requires_grad_()
    loss = compute_loss(vectors)
    [gradient] = torch.autograd.grad(loss, vectors)
    own_gradient = gradient[distributed.get_rank() :: distributed.count_processes()]
    for number, part in enumerate(parts):
        part_gradient = own_gradient[number * chunk : (number + 1) * chunk]
        (encode(part)[: len(part_gradient)] * part_gradient).sum().backward()
    return loss.detach()
