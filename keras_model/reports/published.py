"""The accuracies that others published for these networks on GTZAN, and which data may stand beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfrecords.gtzan import GENRES, TRACK_IDS

# The keys of `metrics.json`, and the headings of the paper's columns.
ACCURACIES = {"raw": "Raw", "maximum": "Max", "majority": "Maj"}
HERBERT_TRAIN_TRACKS = 750


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where numbers are from.

    Attributes:
        short: How tables name it.
        reference: The publication.
        protocol: What was measured.
    """

    short: str
    reference: str
    protocol: str


HERBERT = Source(
    short="Herbert",
    reference='G. Herbert: "Shallow Convolutional Neural Network Architectures for Music Genre Classification", University of '
    "Bristol; github.com/georgeherbert/music-genre-classification",
    protocol="means over five runs on one stratified split, 750 + 250 tracks",
)
SCHINDLER = Source(
    short="Schindler et al.",
    reference='A. Schindler, T. Lidy, A. Rauber: "Comparing Shallow versus Deep Neural Network Architectures for Automatic Music '
    'Genre Classification", 2016',
    protocol="stratified four-fold cross-validation",
)
SOURCES = (HERBERT, SCHINDLER)


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """One row of a published table.

    Attributes:
        source: Whose it is.
        network: The network, and what was special in its training.
        batchnorm: Whether it has batch normalisation.
        epochs: After how many epochs.
        raw: Accuracy on chunks, in percent.
        maximum: On tracks, by maximum probability, in percent.
        majority: On tracks, by majority vote, in percent.
    """

    source: Source
    network: str
    batchnorm: bool = False
    epochs: int
    raw: float
    maximum: float
    majority: float


PUBLISHED = (
    PublishedResult(source=SCHINDLER, network="shallow", epochs=100, raw=66.56, maximum=78.10, majority=77.80),
    PublishedResult(source=SCHINDLER, network="shallow", epochs=200, raw=67.49, maximum=80.80, majority=80.20),
    PublishedResult(source=SCHINDLER, network="deep", epochs=100, raw=65.69, maximum=78.60, majority=78.00),
    PublishedResult(source=SCHINDLER, network="deep", epochs=200, raw=66.19, maximum=80.60, majority=80.30),
    PublishedResult(source=SCHINDLER, network="shallow, augmented", epochs=100, raw=66.77, maximum=78.90, majority=77.10),
    PublishedResult(source=SCHINDLER, network="deep, augmented", epochs=100, raw=68.31, maximum=81.80, majority=82.20),
    PublishedResult(source=HERBERT, network="shallow", epochs=100, raw=62.96, maximum=75.80, majority=73.53),
    PublishedResult(source=HERBERT, network="shallow", epochs=200, raw=64.01, maximum=77.60, majority=76.60),
    PublishedResult(source=HERBERT, network="shallow", batchnorm=True, epochs=100, raw=66.30, maximum=77.30, majority=77.56),
    PublishedResult(source=HERBERT, network="shallow", batchnorm=True, epochs=200, raw=66.55, maximum=78.68, majority=77.64),
)


def is_gtzan(metrics: Mapping[str, Any]) -> bool:
    """Whether a run was tested on GTZAN.

    It was when its corpus is called so (the pipeline names a corpus after its folder, which `python -m beam_pipeline.download`
    calls gtzan), is not synthetic, and has GTZAN's genres and tracks. A copy under another name counts as other data: an
    accuracy that is wrongly called GTZAN's is worse than one that is not called so.
    """
    corpus = metrics["corpus"]
    return (
        not corpus["synthetic"]
        and corpus["name"].casefold() == "gtzan"
        and tuple(metrics["dataset"]["genres"]) == GENRES
        and metrics["final"]["tracks"].keys() <= TRACK_IDS
    )


def notes(metrics: Mapping[str, Any], *, split: str) -> list[str]:
    """What must stand below a table that has a run's accuracies beside the published ones.

    Args:
        metrics: What `metrics.json` holds, of one of the runs.
        split: The split scheme, or what several have in common.
    """
    corpus, dataset = metrics["corpus"], metrics["dataset"]
    if not is_gtzan(metrics):
        synthetic = ", which is synthetic audio" if corpus["synthetic"] else ""
        return [f"Not comparable: other data. The published accuracies are of GTZAN, the others of {corpus['name']}{synthetic}."]
    n_tracks = dataset["splits"]["train"]["tracks"]
    if split == "herbert":
        return [
            f"The split herbert tests the same tracks as Herbert, but leaves out the train tracks that repeat one of them "
            f"exactly: {n_tracks} tracks were trained on here, {HERBERT_TRAIN_TRACKS} there."
        ]
    return [f"Other tracks were tested than in the publications: the split here is {split}."]
