"""The names of what lies in a run's folder, and the error of a run that could not fill it."""

OPTIONS_FILE = "options.json"
CHECKPOINT_FOLDER = "checkpoints"
TENSORBOARD_FOLDER = "tensorboard"
MODEL_FILE = "model.keras"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
REPORT_FILE = "report.html"
SUMMARY_FILE = "summary.json"
FRONT_END_FILE = "front_end.json"
LABELS_FILE = "labels.txt"
EXPORT_CHECK_FILE = "export_check.json"


class TrainingError(RuntimeError):
    """A run that ended without all of its results; the message says why, in one line."""


class ExportError(TrainingError):
    """A model that was not published: it cannot be written, or does not compute what pipeline and network compute."""
