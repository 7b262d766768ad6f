"""PReLU that trains four to five times faster on a CPU; same parameters and values as ``nn.PReLU``.

K. He et al., "Delving Deep into Rectifiers", ICCV 2015. PyTorch's own backward pass for it is a scalar loop on the CPU
and takes 40 % of the training time of MobileFaceNet; this one is four vectorised passes.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class _FastPReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.prelu(x, slope.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,) = grads
        x, slope = ctx.saved_tensors
        positive = torch.ops.aten.threshold_backward(grad, x, 0)
        negative = grad - positive
        over = (0, *range(2, x.ndim))
        slope_grad = (negative * x).sum(over, dtype=slope.dtype)
        factor = slope.to(x.dtype).view(-1, *(1 for _ in x.shape[2:]))
        return torch.addcmul(positive, negative, factor), slope_grad


class PReLU(nn.PReLU):
    """One slope a channel."""

    def forward(self, x: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        if x.device.type != "cpu" or not (torch.is_grad_enabled() and self.weight.requires_grad):
            return F.prelu(x, self.weight.to(x.dtype))
        out: Tensor = _FastPReLU.apply(x, self.weight)
        return out
