"""The loop over epochs and steps, which can be left and entered at any step."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_model.evaluation import Evaluation
from keras_model.options import TrainOptions
from keras_model.run_folder import TrainingError
from keras_model.training.augmented_batches import Augment
from keras_model.training.checkpoints import Checkpoint, Checkpoints
from keras_model.training.cluster import Cluster
from keras_model.training.dataset import SplitData, made_ahead
from keras_model.training.optimizer import evaluation_weights
from keras_model.training.progress import Progress, means
from keras_model.training.split_evaluation import SplitEvaluator
from keras_model.training.train_state import TrainState
from keras_model.training.train_step import TrainStep

_SECONDS_PER_CALL = 0.2
_NAMED_TRACKS = 10


class DivergedError(TrainingError):
    """A training whose loss is no number any more."""


@dataclass(kw_only=True, eq=False)
class TrainingLoop:
    """One training.

    Attributes:
        options: Of the run.
        model: Built and compiled under the strategy, with its optimiser.
        train: What to train on.
        n_genres: Length of a target.
        synthetic: Whether the epochs' logs say that the corpus is synthetic.
        state: Of the model.
        step: Trains the model.
        evaluator: Evaluates the model.
        callbacks: Of the caller.
        augment: As for `fit`; None for none.
        checkpoints: None for none.
        start: As for `fit`; None to begin.
        show_progress: Whether Keras' progress bar is shown.
        test_every_epoch: As for `fit`.
        max_steps_per_call: Never more steps than this by one call of TensorFlow.
        progress: How far it is.
        evaluation: Of the model as it is; None where it was trained on since.
        interrupted: Whether Ctrl-C, on whichever machine, ended it.
    """

    options: TrainOptions
    model: keras.Model
    train: SplitData
    n_genres: int
    synthetic: bool
    state: TrainState
    step: TrainStep
    evaluator: SplitEvaluator
    callbacks: Sequence[keras.callbacks.Callback]
    augment: Augment | None
    checkpoints: Checkpoints | None
    start: Checkpoint | None
    show_progress: bool
    test_every_epoch: bool
    max_steps_per_call: int
    progress: Progress
    evaluation: Evaluation | None = None
    interrupted: bool = False

    def run(self, wish_to_end: Event) -> None:
        """Trains from the start to the last epoch, or until someone wishes to end.

        Args:
            wish_to_end: Looked at between calls of TensorFlow.
        """
        told = keras.callbacks.CallbackList(
            list(self.callbacks),
            add_progbar=self.show_progress,
            model=self.model,
            verbose=1,
            epochs=self.options.epochs,
            steps=self.progress.steps_per_epoch,
        )
        self.model.stop_training = False
        told.on_train_begin()
        self._resume()
        before, started = self.progress.seconds, time.monotonic()
        ended, n_steps = False, 1
        while self.progress.epoch < self.options.epochs and not ended:
            told.on_epoch_begin(self.progress.epoch)
            batches = self._batches()
            while self.progress.steps_left and not ended:
                told.on_train_batch_begin(self.progress.step)
                call_started = time.perf_counter()
                rows, self.interrupted = self.step.run(
                    batches,
                    n_steps=min(n_steps, self.progress.steps_left),
                    global_step=self.progress.global_step,
                    interrupt=wish_to_end.is_set(),
                    finish=self.model.stop_training,
                )
                if not (ended := not len(rows)):
                    self._refuse_divergence(rows[:, 0])
                    self.evaluation = None
                    self.progress.add(rows)
                    told.on_train_batch_end(self.progress.step - 1, means(self.progress.epoch_sums))
                    seconds_per_step = (time.perf_counter() - call_started) / len(rows)
                    n_steps = max(1, min(self.max_steps_per_call, int(_SECONDS_PER_CALL / seconds_per_step)))
                self.progress.seconds = before + time.monotonic() - started
                if self.checkpoints is not None and self.checkpoints.due():
                    self._save()
            if not ended:
                epoch, logs = self.progress.epoch, self._finish_epoch()
                told.on_epoch_end(epoch, logs)
        self.progress.seconds = before + time.monotonic() - started
        self._save()
        told.on_train_end()

    def evaluate(self) -> Evaluation:
        """The evaluation of the model as it is; on several machines all of them must ask for it."""
        if self.evaluation is None:
            with evaluation_weights(self.model, self.model.optimizer):
                self.evaluation = self.evaluator.evaluate()
        return self.evaluation

    def _resume(self) -> None:
        if self.start is None:
            return
        self.progress = Progress.from_dict(self.start.progress)
        for epoch, logs in enumerate(self.progress.epochs):
            # TensorBoard adds the optimiser's learning rate of then.
            self.model.optimizer.iterations.assign((epoch + 1) * self.progress.steps_per_epoch)
            for callback in self.callbacks:
                callback.on_epoch_end(epoch, {name: value for name, value in logs.items() if name != "per_genre"})
        self.state.restore(self.start)
        if self.show_progress:
            place = f"step {self.progress.step} of {self.progress.steps_per_epoch} of epoch {self.progress.epoch + 1}"
            print(f"Resumed  after {place}", flush=True)

    def _batches(self) -> tf.data.Iterator:
        """The rest of the epoch."""
        epoch, first_step = self.progress.epoch, self.progress.step
        batches = self.train.training_batches(
            batch_size=self.options.batch_size,
            n_genres=self.n_genres,
            seed=self.options.seed,
            epoch=epoch,
            first_step=first_step,
        )
        if self.augment is not None:
            batches = self.augment(batches, epoch=epoch, first_step=first_step)
        return iter(made_ahead(batches))

    def _refuse_divergence(self, losses: NDArray[np.float64]) -> None:
        """Looks at the losses of a call's steps: on a GPU, looking at each one's would have the next one wait."""
        if np.isfinite(losses).all():
            return
        index = int(np.argmin(np.isfinite(losses)))
        epoch, step = self.progress.epoch, self.progress.step + index
        tracks = self.train.tracks_of_batch(batch_size=self.options.batch_size, seed=self.options.seed, epoch=epoch, step=step)
        more = f" … and {len(tracks) - _NAMED_TRACKS} more" if len(tracks) > _NAMED_TRACKS else ""
        place = f"epoch {epoch + 1}, step {step + 1} of {self.progress.steps_per_epoch}"
        raise DivergedError(
            f"the loss became {losses[index]} in {place} (step {self.progress.global_step + index + 1} in all); "
            f"a lower --learning-rate may help; the batch had chunks of {', '.join(tracks[:_NAMED_TRACKS])}{more}"
        )

    def _finish_epoch(self) -> dict[str, float]:
        """Evaluates where that is due, and moves on to the next epoch; returns the logs for the callbacks."""
        logs = means(self.progress.epoch_sums)
        per_genre = {}
        if self.test_every_epoch or self.progress.epoch + 1 == self.options.epochs:
            evaluation = self.evaluate()
            logs |= {f"test_{name}": value for name, value in evaluation.accuracies.items()}
            logs["test_cross_entropy"] = evaluation.cross_entropy
            per_genre = {"per_genre": evaluation.per_genre}
        if self.synthetic:
            logs["synthetic"] = 1.0
        self.progress.next_epoch(logs | per_genre)
        return logs

    def _save(self) -> None:
        if self.checkpoints is not None and Cluster.from_environment().is_chief:
            self.checkpoints.write(self.state.checkpoint(self.progress), step=self.progress.global_step)
