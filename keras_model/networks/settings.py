"""The networks' names and what each is built with where nothing else is asked for. Loads no Keras: command lines read it."""

from dataclasses import dataclass

from tfrecords.errors import UsageError
from tfrecords.front_end.log_mel_spec import LogMelSpec


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """What can be chosen about a network.

    Attributes:
        batchnorm: Whether it has batch normalisation.
        l1: L1 penalty on every kernel.
        dropout: Rate before the genre layer.
        robust_spec: Of the log-mels, where the network is robust: keras_model.robust; None where it is not.
    """

    batchnorm: bool
    l1: float
    dropout: float
    robust_spec: LogMelSpec | None = None


# How the first convolutions are computed: keras_model.networks.fused.
IMPLEMENTATIONS = ("auto", "stock", "fused")
NETWORKS = {
    "shallow": NetworkSettings(batchnorm=False, l1=1e-4, dropout=0.1),
    "deep": NetworkSettings(batchnorm=False, l1=1e-4, dropout=0.25),
    "bbnn": NetworkSettings(batchnorm=True, l1=0.0, dropout=0.0),
    "probe": NetworkSettings(batchnorm=True, l1=0.0, dropout=0.5),
    "finetuned": NetworkSettings(batchnorm=True, l1=0.0, dropout=0.5),
    "reprogrammed": NetworkSettings(batchnorm=True, l1=0.0, dropout=0.0),
}
# Of these, those that have the pre-trained tagger in them.
ON_TAGGER = ("probe", "finetuned", "reprogrammed")
# How a reprogrammed network changes what the tagger hears: keras_model.networks.reprogrammed.
REPROGRAMMINGS = ("noise", "input", "skip")


def network_settings(
    name: str,
    *,
    batchnorm: bool = False,
    l1: float | None = None,
    dropout: float | None = None,
    robust_spec: LogMelSpec | None = None,
) -> NetworkSettings:
    """What a network is built with: what was asked for, and the network's own setting for every None.

    Raises:
        UsageError: For a network that there is not, and for batch normalisation as an addition to one that always has it.
    """
    own = NETWORKS.get(name)
    if own is None:
        raise UsageError(f"there is no network {name!r}; choose from {', '.join(NETWORKS)}")
    if batchnorm and own.batchnorm:
        raise UsageError(f"--batchnorm cannot be added to {name}, which always has batch normalisation; leave it out")
    return NetworkSettings(
        batchnorm=batchnorm or own.batchnorm,
        l1=own.l1 if l1 is None else l1,
        dropout=own.dropout if dropout is None else dropout,
        robust_spec=robust_spec,
    )
