"""The accuracies that others published for these networks on GTZAN, and which data may stand beside them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfrecords.dataset.gtzan import GENRES, TRACK_IDS

# The keys of `metrics.json`, and the headings of the paper's columns.
ACCURACIES = {"raw": "Raw", "maximum": "Max", "majority": "Maj"}
HERBERT_TRAIN_TRACKS = 750
# Of networks that hold the pre-trained tagger.
PRETRAINED_NOTE = "Its pre-trained part may have heard GTZAN's recordings: on GTZAN, this is no accuracy on unheard music."
# Of the tagger's weights, which go with every such network.
PRETRAINED_LICENSE = """\
Copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019. Code developed by Jordi Pons (www.jordipons.me).

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE."""


class Source(NamedTuple):
    """Where numbers are from: how tables name it, the publication, and what was measured."""

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


class PublishedResult(NamedTuple):
    """One row of a published table; `raw` is the accuracy on chunks, the other two are on tracks, all in percent."""

    source: Source
    network: str
    batchnorm: bool
    epochs: int
    raw: float
    maximum: float
    majority: float


PUBLISHED = (
    PublishedResult(SCHINDLER, "shallow", False, 100, 66.56, 78.10, 77.80),
    PublishedResult(SCHINDLER, "shallow", False, 200, 67.49, 80.80, 80.20),
    PublishedResult(SCHINDLER, "deep", False, 100, 65.69, 78.60, 78.00),
    PublishedResult(SCHINDLER, "deep", False, 200, 66.19, 80.60, 80.30),
    PublishedResult(SCHINDLER, "shallow, augmented", False, 100, 66.77, 78.90, 77.10),
    PublishedResult(SCHINDLER, "deep, augmented", False, 100, 68.31, 81.80, 82.20),
    PublishedResult(HERBERT, "shallow", False, 100, 62.96, 75.80, 73.53),
    PublishedResult(HERBERT, "shallow", False, 200, 64.01, 77.60, 76.60),
    PublishedResult(HERBERT, "shallow", True, 100, 66.30, 77.30, 77.56),
    PublishedResult(HERBERT, "shallow", True, 200, 66.55, 78.68, 77.64),
)


def is_gtzan(metrics: Mapping[str, Any]) -> bool:
    """Whether a run was tested on GTZAN: a corpus of that name, not synthetic, with its genres and tracks.

    A copy under another name counts as other data: an accuracy that is wrongly called GTZAN's is worse than one that is not.
    """
    corpus = metrics["corpus"]
    return (
        not corpus["synthetic"]
        and corpus["name"].casefold() == "gtzan"
        and tuple(metrics["dataset"]["genres"]) == GENRES
        and metrics["final"]["tracks"].keys() <= TRACK_IDS
    )


def notes(metrics: Mapping[str, Any], *, split: str) -> list[str]:
    """What must stand below a table that has the accuracies of runs, one with these metrics, beside the published ones."""
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
