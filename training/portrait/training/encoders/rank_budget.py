"""AdaLoRA's budget: ranks that training takes from the layers that need them least (Zhang et al. 2023)."""

from typing import Any

import torch
from torch import Tensor

_ORTHOGONALITY_WEIGHT = 0.5
"""γ of equation 4."""
_WARM_UP_SHARE, _FINAL_SHARE = 0.1, 0.25
"""Shares of the steps before the budget falls, and after it has."""


class RankBudget:
    """Cuts the ranks of a BERT that `tune` gave AdaLoRA's adapters.

    Args:
        bert: the adapted BERT.
        steps: optimiser steps in which it will take part.
    """

    def __init__(self, bert: Any, steps: int) -> None:
        self._bert = bert
        self._config = bert.active_peft_config
        self._config.total_step = max(1, steps)
        self._config.tinit, self._config.tfinal = int(_WARM_UP_SHARE * steps), int(_FINAL_SHARE * steps)

    def orthogonality_penalty(self) -> Tensor:
        """Compute the loss term that keeps each update's outer matrices orthogonal (equation 4)."""
        distances = []
        for name, weight in self._bert.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = weight @ weight.T if "lora_A" in name else weight.T @ weight
                distances.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=product.device)))
        return _ORTHOGONALITY_WEIGHT * torch.stack(distances).mean()

    def allocate(self, step: int) -> None:
        """Note what each rank is worth by its gradients, and take those away that are beyond the budget.

        Args:
            step: number of the step, from 0, that was just made; gradients must still be there.
        """
        self._bert.base_model.update_and_allocate(step)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: tensors and plain values."""
        allocator = self._bert.base_model.rankallocator
        return {
            "importance": allocator.exp_avg_ipt,
            "uncertainty": allocator.exp_avg_unc,
            "latest": allocator.ipt,
            "kept": self._config.rank_pattern,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        allocator = self._bert.base_model.rankallocator
        device = next(self._bert.parameters()).device
        allocator.exp_avg_ipt, allocator.exp_avg_unc, allocator.ipt = (
            {name: value.to(device) for name, value in state[part].items()}
            for part in ("importance", "uncertainty", "latest")
        )
        self._config.rank_pattern = state["kept"]
