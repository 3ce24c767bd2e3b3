"""The shallow network in PyTorch, as its author had it; measured where torch is installed."""

from collections.abc import Callable
from typing import Any

import numpy as np


def torch_work(
    *, batchnorm: bool, channels_last: bool, samples: tuple[np.ndarray, np.ndarray], batch_size: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """An epoch of training and an inference over some samples.

    Args:
        batchnorm: Whether each convolution is followed by batch normalisation.
        channels_last: Memory layout; PyTorch's default, the author's, is channels first.
        samples: Log-mels (n, 80, 80, 1) float32 and labels (n,).
        batch_size: Samples of a step.
    """
    import torch
    from torch import nn

    class Network(nn.Module):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.branches = nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(1, 16, kernel_size, padding="same"),
                    nn.BatchNorm2d(16) if batchnorm else nn.Identity(),
                    nn.LeakyReLU(0.3),
                    nn.MaxPool2d(pool_size),
                    nn.Flatten(),
                )
                for kernel_size, pool_size in (((10, 23), (1, 20)), ((21, 20), (20, 1)))
            )
            self.hidden = nn.Linear(10240, 200)
            self.head = nn.Sequential(nn.LeakyReLU(0.3), nn.Dropout(0.1), nn.Linear(200, 10))

        def forward(self, x: Any) -> Any:
            return self.head(self.hidden(torch.cat([branch(x) for branch in self.branches], dim=1)))

    layout = torch.channels_last if channels_last else torch.contiguous_format
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = Network().to(device, memory_format=layout)
    log_mels = torch.from_numpy(samples[0].transpose(0, 3, 1, 2)).to(device, memory_format=layout)
    labels = torch.from_numpy(samples[1]).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 5e-5)
    kernels = [weight for weight in network.parameters() if weight.dim() > 1]

    def train() -> None:
        network.train()
        for batch, truth in zip(log_mels.split(batch_size), labels.split(batch_size), strict=True):
            optimizer.zero_grad()
            penalty = 1e-4 * sum(kernel.abs().sum() for kernel in kernels)
            loss = nn.functional.cross_entropy(network(batch), truth) + penalty
            loss.backward()
            optimizer.step()
            loss.item()

    def infer() -> None:
        network.eval()
        with torch.no_grad():
            for batch in log_mels.split(batch_size):
                network(batch).cpu()

    return train, infer
