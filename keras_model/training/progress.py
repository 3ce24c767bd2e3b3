"""How far a training is: its place, its running means, and what it has told so far. Kept on the host, in float64."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_WINDOW_STEPS = 100


def _zeros() -> list[float]:
    return [0.0] * 4


@dataclass(kw_only=True)
class Progress:
    """A place between two steps, with everything that is carried over it but the network and its optimiser.

    The sums are of loss × samples, correct samples, cross-entropies and samples. They are added up step by step, so that they
    do not depend on how the steps were grouped into calls.

    Attributes:
        steps_per_epoch: Batches in an epoch.
        epoch: Finished epochs.
        step: Steps made in this epoch.
        epoch_sums: Over the epoch so far.
        window_sums: Over the steps since the last full hundred.
        steps: Per hundred steps the number of steps at its end, and the means.
        epochs: Per finished epoch its logs.
        seconds: That the training took so far.
    """

    steps_per_epoch: int
    epoch: int = 0
    step: int = 0
    epoch_sums: list[float] = field(default_factory=_zeros)
    window_sums: list[float] = field(default_factory=_zeros)
    steps: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def global_step(self) -> int:
        """Steps made in all."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def steps_left(self) -> int:
        """Steps until the end of the epoch."""
        return self.steps_per_epoch - self.step

    def add(self, rows: NDArray[np.float64]) -> None:
        """Moves on by some steps.

        Args:
            rows: Per step loss, correct samples, sum of cross-entropies, samples, (n_steps, 4).
        """
        for loss, correct, cross_entropy, n_samples in rows.tolist():
            values = (loss * n_samples, correct, cross_entropy, n_samples)
            for sums in (self.epoch_sums, self.window_sums):
                sums[:] = [total + value for total, value in zip(sums, values, strict=True)]
            self.step += 1
            if self.global_step % _WINDOW_STEPS == 0:
                self.steps.append({"step": self.global_step} | means(self.window_sums))
                self.window_sums = _zeros()

    def next_epoch(self, logs: dict[str, Any]) -> None:
        """Moves on to the start of the next epoch."""
        self.epochs.append(logs)
        self.epoch, self.step, self.epoch_sums = self.epoch + 1, 0, _zeros()

    def all_steps(self) -> list[dict[str, Any]]:
        """The means of all windows, the last of which may be shorter."""
        return self.steps + ([{"step": self.global_step} | means(self.window_sums)] if self.window_sums[-1] else [])

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` gave."""
        return cls(**values)


def means(sums: Sequence[float]) -> dict[str, float]:
    """Loss, accuracy and cross-entropy, per sample."""
    loss, correct, cross_entropy, n_samples = sums
    return {"loss": loss / n_samples, "accuracy": correct / n_samples, "cross_entropy": cross_entropy / n_samples}
