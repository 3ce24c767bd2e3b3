"""What a training run is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from keras_model.augmentation import Augmentation, SpecMasks
from keras_model.networks.settings import ON_TAGGER, REPROGRAMMINGS, NetworkSettings, network_settings
from tfrecords.errors import UsageError
from tfrecords.places import Place, place_of

DEFAULT_DATA = Path("data/tfrecords")
DECAYS = ("none", "cosine")
KEPT = ("last", "best")
AUGMENTATIONS = ("spec",)
STANDARDIZATIONS = ("per_band",)
PRECISIONS = ("float32", "float64", "mixed_float16", "mixed_bfloat16")
PAPER = "paper"
# What a recipe does not name has the default of TrainOptions, and what the command line names has the last word.
RECIPES: Mapping[str, Mapping[str, Any]] = {
    # Herbert's, of which batch normalisation is the variant that --batchnorm adds.
    PAPER: {},
    # Chosen among the variants of docs/recipes.md, which has what it gains.
    "tuned": {
        "batchnorm": True,
        "robust": True,
        "standardize": "per_band",
        "learning_rate": 1e-3,
        "learning_rate_warmup": 100,
        "learning_rate_decay": "cosine",
        "mixup": 0.3,
        "random_crop": 16,
        "band_shift": 4,
    },
}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one run; the defaults are the paper's.

    Attributes:
        data: Folder or URL of the dataset.
        cache_dir: Where copies of the shards of a dataset behind a URL are kept; None for streaming them.
        output: Folder of the run.
        recipe: Name of the recipe that gave the other options their defaults.
        model: Name of the network.
        reprogramming: One of REPROGRAMMINGS: what is trained of a reprogrammed network; None for every other one.
        batchnorm: Whether batch normalisation is added to it.
        standardize: One of STANDARDIZATIONS: by which statistics of the train split it standardises its input; None for those of
            the dataset's preset, if it has any.
        robust: Whether the network hears neither the level of a chunk nor what codecs take away.
        epochs: Passes over the train split.
        batch_size: Samples per step, over all replicas.
        learning_rate: Of Adam, at its highest.
        learning_rate_warmup: Steps in which the rate rises to that, at the start; a shorter training ends before it is there.
        learning_rate_decay: One of DECAYS: how the rate falls, to 0 at the last step.
        l1: L1 penalty on every kernel; None for the network's own.
        dropout: Rate before the genre layer; None for the network's own.
        label_smoothing: Share of each target that the loss spreads over all genres.
        augment: One of AUGMENTATIONS; None for none.
        mixup: α of mixup; 0 for none.
        random_crop: Frames by which a random crop shifts a log-mel at most; 0 for none.
        band_shift: Mel bands by which a log-mel is shifted up or down at most; 0 for none.
        ema: Momentum of the moving average of the weights, which is what is evaluated and saved; 0 for the weights themselves.
        seed: Of the weights, the order of the samples, dropout, augmentation and folds.
        runs: How many runs, each with a seed of its own.
        folds: Number of folds of a cross-validation over all of the dataset's tracks; 0 for the dataset's own splits.
        fold: Which fold is tested on, from 1; 0 for each in a run of its own.
        cache_gib: A split whose log-mels take no more is kept in memory, a larger one is streamed; in GiB.
        precision: What the layers compute in, one of PRECISIONS; weights and softmax are float32 in all but float64. The saved
            network is float32.
        xla: Whether XLA compiles the step; None for on one GPU.
        convolution: One of IMPLEMENTATIONS: how the first convolutions are computed.
        deterministic: Whether a GPU, too, gives the same numbers each time.
        keep: One of KEPT: the network that is saved and reported, after the last epoch or after the one of the lowest loss on the
            validation split.
        early_stopping: Epochs without a lower loss on the validation split after which the training ends; 0 for never.
        export: Folder for the SavedModel; None for `output/export`.
        exports: Whether there is a SavedModel.
        verbose: Whether TensorFlow's own messages are shown.
    """

    data: Place = DEFAULT_DATA
    cache_dir: Path | None = None
    output: Path = Path("runs")
    recipe: str = PAPER
    model: str = "shallow"
    reprogramming: str | None = None
    batchnorm: bool = False
    standardize: str | None = None
    robust: bool = False
    epochs: int = 200
    batch_size: int = 64
    learning_rate: float = 5e-5
    learning_rate_warmup: int = 0
    learning_rate_decay: str = "none"
    l1: float | None = None
    dropout: float | None = None
    label_smoothing: float = 0.0
    augment: str | None = None
    mixup: float = 0.0
    random_crop: int = 0
    band_shift: int = 0
    ema: float = 0.0
    seed: int = 0
    runs: int = 1
    folds: int = 0
    fold: int = 0
    cache_gib: float = 4.0
    precision: str = "float32"
    xla: bool | None = None
    convolution: str = "auto"
    deterministic: bool = False
    keep: str = "last"
    early_stopping: int = 0
    export: Path | None = None
    exports: bool = True
    verbose: bool = False

    @property
    def dataset(self) -> Place:
        """Where the dataset is read.

        Raises:
            UsageError: If it cannot be read like that.
        """
        return place_of(self.data, cache_dir=self.cache_dir)

    @property
    def export_folder(self) -> Path:
        """Folder that holds the SavedModel's versions."""
        return self.export or self.output / "export"

    @property
    def several(self) -> bool:
        """Whether this asks for several runs."""
        return self.runs > 1 or (self.folds > 0 and not self.fold)

    @property
    def selects(self) -> bool:
        """Whether the validation split decides which network is kept."""
        return self.keep == "best" or self.early_stopping > 0

    @property
    def on_tagger(self) -> bool:
        """Whether the network has the pre-trained tagger in it."""
        return self.model in ON_TAGGER

    @property
    def on_features(self) -> bool:
        """Whether the network is trained on the tagger's features, which are computed once."""
        return self.model == "probe"

    @property
    def augmentation(self) -> Augmentation:
        """What is done to each training batch.

        Raises:
            UsageError: If a setting is out of range.
        """
        masks = SpecMasks() if self.augment == "spec" else None
        return Augmentation(masks=masks, mixup=self.mixup, random_crop=self.random_crop, band_shift=self.band_shift)

    @property
    def network(self) -> NetworkSettings:
        """What the network is built with.

        Raises:
            UsageError: If it cannot be built as asked.
        """
        return network_settings(self.model, batchnorm=self.batchnorm, l1=self.l1, dropout=self.dropout)

    def check(self) -> None:
        """Refuses options that exclude each other.

        Raises:
            UsageError: Naming them.
        """
        network_settings(self.model, batchnorm=self.batchnorm)
        if self.runs > 1 and self.folds:
            raise UsageError("--runs and --folds cannot be combined: a cross-validation is a run for each fold")
        if self.folds == 1:
            raise UsageError("--folds must be at least 2, got 1")
        if self.several and self.export is not None:
            raise UsageError("--export is for one run: with --runs and --folds each run has its SavedModel in its own folder")
        if self.xla and self.deterministic:
            raise UsageError("--xla and --deterministic exclude each other: XLA has no deterministic gradient of max pooling")
        if self.on_features and self.augmentation:
            raise UsageError(
                f"--augment, --mixup, --random-crop and --band-shift change log-mels, and --model {self.model} is trained on "
                "features that are computed of them once: leave them out"
            )
        if self.on_tagger and (self.standardize or self.robust):
            raise UsageError(
                f"--standardize and --robust are for other networks: the tagger of --model {self.model} standardises by itself, "
                "and hears no level"
            )
        if (self.model == "reprogrammed") != (self.reprogramming is not None):
            raise UsageError(f"--model reprogrammed and --reprogramming {', '.join(REPROGRAMMINGS)} belong together")
        if self.folds and self.selects:
            raise UsageError("--keep best and --early-stopping need a validation split, which folds do not have")

    def to_dict(self) -> dict[str, Any]:
        """The options as `options.json` holds them."""
        values = vars(self) | {"export": self.export_folder}
        return {name: str(value) if isinstance(value, Place) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` gave; `export` may be None.

        Raises:
            KeyError: If a folder is missing.
            TypeError: If there is an unknown option.
        """
        folders = {name: Path(values[name]) for name in ("output", "export", "cache_dir") if values.get(name) is not None}
        return cls(**{**values, **folders, "data": place_of(values["data"])})
