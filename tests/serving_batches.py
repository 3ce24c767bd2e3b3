"""Batching as TensorFlow Serving does it: `batching/batching_session.cc` and `batching_util.cc`, their rules and their words."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]


class RefusedError(Exception):
    """A request that the server answers with a status other than OK."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


def invalid(message: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, message)


@dataclass(frozen=True, kw_only=True)
class Batching:
    """The server's batching parameters file.

    Attributes:
        max_batch_size: Rows at which a batch is run at once.
        timeout_seconds: After which it is run with what has come.
        pad_variable_length_inputs: Whether requests of other lengths are padded, with each tensor's first element.
        n_threads: Batches that are run at a time; the next one takes requests meanwhile.
    """

    max_batch_size: int
    timeout_seconds: float = 5.0
    pad_variable_length_inputs: bool = False
    n_threads: int = os.cpu_count() or 1

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads the file as the server does, which refuses what is no field of its message."""
        values = text_format.Parse(path.read_text(), _parameters_message()())
        return cls(
            max_batch_size=values.max_batch_size.value,
            timeout_seconds=values.batch_timeout_micros.value / 1e6,
            pad_variable_length_inputs=values.pad_variable_length_inputs,
        )


def _parameters_message() -> Any:
    """What is used here of BatchingParameters in `servables/tensorflow/session_bundle_config.proto`, which no package carries."""
    file = descriptor_pb2.FileDescriptorProto(name="batching_parameters.proto", package="tests", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(("max_batch_size", "batch_timeout_micros", "max_enqueued_batches"), start=1):
        message.field.add(name=name, number=number, label=1, type=11, type_name=".google.protobuf.Int64Value")
    message.field.add(name="pad_variable_length_inputs", number=7, label=1, type=8)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.BatchingParameters"))


@dataclass(eq=False)
class _Batch:
    tasks: list[Arrays] = field(default_factory=list)
    n_rows: int = 0
    full: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    answers: list[Arrays] = field(default_factory=list)
    error: Exception | None = None


class Batcher:
    """Merges the requests that arrive together along dimension 0.

    Attributes:
        merged: The number of requests in each batch that has been run.
    """

    def __init__(self, options: Batching) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._threads = threading.Semaphore(options.n_threads)
        self._open: dict[Any, _Batch] = {}
        self.merged: list[int] = []

    def run(self, run: Run, inputs: Arrays, *, signature: str) -> Arrays:
        """Runs a request as part of a batch of its signature, and returns its own rows."""
        if any(value.ndim == 0 for value in inputs.values()):
            raise invalid("Batching Run() input tensors must have at least one dimension")
        if len({len(value) for value in inputs.values()}) != 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        n_rows = len(next(iter(inputs.values())))
        if n_rows > self._options.max_batch_size:
            raise invalid(f"Task size {n_rows} is larger than maximum input batch size {self._options.max_batch_size}")
        with self._lock:
            batch = self._open.get(signature)
            if batch and batch.n_rows + n_rows > self._options.max_batch_size:
                batch.full.set()
                batch = None
            first = batch is None
            if batch is None:
                batch = self._open[signature] = _Batch()
            place = len(batch.tasks)
            batch.tasks.append(inputs)
            batch.n_rows += n_rows
            if batch.n_rows == self._options.max_batch_size:
                del self._open[signature]
                batch.full.set()
        if first:
            batch.full.wait(self._options.timeout_seconds)
            with self._threads:
                with self._lock:
                    if self._open.get(signature) is batch:
                        del self._open[signature]
                self._process(run, batch)
        batch.done.wait()
        if batch.error:
            raise batch.error
        return batch.answers[place]

    def _process(self, run: Run, batch: _Batch) -> None:
        self.merged.append(len(batch.tasks))
        try:
            outputs = run(self._merge(batch.tasks))
            starts = np.cumsum([len(next(iter(task.values()))) for task in batch.tasks])
            _check_rows(outputs, batch.n_rows)
            parts = {name: np.split(value, starts[:-1]) for name, value in outputs.items()}
            batch.answers = [{name: part[place] for name, part in parts.items()} for place in range(len(batch.tasks))]
        except Exception as error:
            batch.error = error  # of one, and so of all
        finally:
            batch.done.set()

    def _merge(self, tasks: list[Arrays]) -> Arrays:
        merged = {}
        for name in tasks[0]:
            values = [task[name] for task in tasks]
            if self._options.pad_variable_length_inputs:
                shape = np.max([value.shape for value in values], axis=0)
                values = [_padded(value, shape) for value in values]
            elif len({value.shape[1:] for value in values}) != 1:
                message = f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off."
                raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, message)
            merged[name] = np.concatenate(values)
        return merged


def _check_rows(outputs: Arrays, n_rows: int) -> None:
    for name, value in outputs.items():
        message = ""
        if value.ndim == 0:
            message = "Batched output tensor has 0 dimensions"
        elif len(value) != n_rows:
            message = (
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"
            )
        if message:
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, f"{message}: {name}")


def _padded(value: np.ndarray, shape: np.ndarray) -> np.ndarray:
    shape = np.array([len(value), *shape[1:]])
    if tuple(shape) == value.shape:
        return value
    if not value.size:
        raise invalid("Got empty tensor in batch of non-empty tensors.")
    padded = np.full(shape, value.flat[0], dtype=value.dtype)
    padded[tuple(map(slice, value.shape))] = value
    return padded
