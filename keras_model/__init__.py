"""The network: training on a dataset's TFRecords, evaluation, report, export and prediction."""

from typing import TYPE_CHECKING

from tfrecords.command_line.lazy import lazily

if TYPE_CHECKING:
    from keras_model.networks.classifiers import build_classifier as build
    from keras_model.prediction.loading import load
    from keras_model.prediction.model import Predictor
    from keras_model.prediction.track import Prediction

    __version__: str

__all__ = ["Prediction", "Predictor", "__version__", "build", "load"]
__getattr__ = lazily(
    __name__,
    {
        "Prediction": "prediction.track.Prediction",
        "Predictor": "prediction.model.Predictor",
        "build": "networks.classifiers.build_classifier",
        "load": "prediction.loading.load",
    },
)
