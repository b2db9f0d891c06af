"""The optimiser of the encoders: Adam with warm-up and linear decay."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from portrait.training.encoders.model import PortraitModel
from portrait.training.settings import TrainSettings


class EncoderOptimizer:
    """AdamW, with a learning rate of its own for the BERT.

    Where residuals have sparse gradients, SparseAdam updates those of a step's items only, without weight decay: Adam
    over all residuals of a large catalogue would take longer than the rest of a step.

    Args:
        model: the encoders.
        settings: learning rates and weight decay.
        rate_factor: factor of the learning rates at a step, from 0.
    """

    def __init__(self, model: PortraitModel, settings: TrainSettings, rate_factor: Callable[[int], float]) -> None:
        bert = {id(parameter) for parameter in model.text.bert.parameters()}
        sparse = {id(model.residual.weight)} if model.residual.sparse else set()
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        dense = [parameter for parameter in self._trained if id(parameter) not in sparse]
        groups: list[dict[str, Any]] = [
            {"params": [each for each in dense if id(each) not in bert], "lr": settings.learning_rate},
            {"params": [each for each in dense if id(each) in bert], "lr": settings.bert_learning_rate},
        ]
        adam: torch.optim.Optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], weight_decay=settings.weight_decay
        )
        self._optimizers = [adam]
        if sparse:
            self._optimizers.append(torch.optim.SparseAdam([model.residual.weight], lr=settings.learning_rate))
        self._schedulers = [torch.optim.lr_scheduler.LambdaLR(each, rate_factor) for each in self._optimizers]

    @property
    def rate(self) -> float:
        """Learning rate of the new layers at the next step."""
        return float(self._schedulers[0].get_last_lr()[0])

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def clip_gradients(self, limit: float) -> Tensor:
        """Scale all gradients, so that their norm together is at most `limit`; returns the norm before."""
        gradients = []
        for parameter in self._trained:
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
            gradients.append(parameter.grad.values() if parameter.grad.is_sparse else parameter.grad)
        norm = get_total_norm(gradients)
        # As in PyTorch's `clip_grad_norm_`, which takes no sparse gradients.
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        return norm

    def step(self) -> None:
        """Take a step, and have the next learning rates."""
        for optimizer, scheduler in zip(self._optimizers, self._schedulers, strict=True):
            optimizer.step()
            scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """State for `load_state_dict`."""
        return {
            "optimizers": [each.state_dict() for each in self._optimizers],
            "schedulers": [each.state_dict() for each in self._schedulers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        for optimizer, own in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        for scheduler, own in zip(self._schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(own)
