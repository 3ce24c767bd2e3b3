"""What a training run is asked to do."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_model.networks.settings import NetworkSettings, network_settings

DEFAULT_DATA = Path("data/tfrecords")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one run; the defaults are the paper's.

    Attributes:
        data: Folder of the dataset.
        output: Folder of the run.
        model: Name of the network.
        batchnorm: Whether batch normalisation is added to it.
        epochs: Passes over the train split.
        batch_size: Samples per step, over all replicas.
        learning_rate: Of Adam.
        l1: L1 penalty on every kernel; None for the network's own.
        dropout: Rate before the genre layer; None for the network's own.
        seed: Of the weights, the order of the samples and dropout.
        cache_gib: A split whose log-mels take no more is kept in memory, a larger one is streamed; in GiB.
        export: Folder for the SavedModel; None for `output/export`.
        verbose: Whether TensorFlow's own messages are shown.
    """

    data: Path
    output: Path
    model: str = "shallow"
    batchnorm: bool = False
    epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 5e-5
    l1: float | None = None
    dropout: float | None = None
    seed: int = 0
    cache_gib: float = 4.0
    export: Path | None = None
    verbose: bool = False

    @property
    def export_folder(self) -> Path:
        """Folder that holds the SavedModel's versions."""
        return self.export or self.output / "export"

    @property
    def network(self) -> NetworkSettings:
        """What the network is built with.

        Raises:
            UsageError: If it cannot be built as asked.
        """
        return network_settings(self.model, batchnorm=self.batchnorm, l1=self.l1, dropout=self.dropout)

    def to_dict(self) -> dict[str, Any]:
        """The options as `metrics.json` holds them, with the network's own settings where none were given."""
        values = asdict(self) | asdict(self.network) | {"export": self.export_folder}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
