"""What both ways to a served model share: the address, the errors, when a request is tried again, and what an answer means."""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from tfrecords.errors import UsageError, printable, quoted

SIGNATURE = "classify_waveform"
# A host that is not there says nothing at all; one that is there takes a connection at once, however long it then works.
CONNECT_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.5
_MOST_DOUBLINGS = 4
_LONGEST_MESSAGE = 300

Outputs = dict[str, NDArray[Any]]


class ServingError(RuntimeError):
    """A file that the server gave no genre for; the message says why, in one line."""


class TransientError(ServingError):
    """A failure that the next attempt may not meet: a lost connection, a time-out, a server that is busy or starting."""


class UnreachableError(TransientError):
    """No server answers at the address."""


class UnusableServerError(UsageError):
    """A server that no file can be sent to: nobody is there, or it has no such model."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a model is served."""

    url: str  # http(s)://host[:port][/path], TensorFlow Serving's REST, or grpc://host[:port]
    model: str = "genres"
    version: int | None = None  # the server's newest
    timeout_seconds: float = 60.0  # for one attempt at half a minute of audio; over REST, for the server to say nothing

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_valid = parts.scheme in ("http", "https", "grpc") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, a bracket that is not closed
            is_valid = False
        if not is_valid or parts.query or parts.fragment or (self.is_grpc and parts.path.strip("/")):
            expected = "http://HOST:8501, https://HOST or grpc://HOST:8500"
            shown = re.sub(r"(?s)^(\w+://)?.*@", r"\1", self.url)  # a password may be what makes it invalid
            raise UsageError(f"the URL must be like {expected}, got {quoted(shown)}")
        if not self.model:
            raise UsageError("the model's name must not be empty")

    @property
    def is_grpc(self) -> bool:
        """Whether the server speaks gRPC there."""
        return self.url.startswith("grpc:")

    @property
    def shown_url(self) -> str:
        """The URL without user and password, for messages."""
        return re.sub("//[^/]*@", "//", self.url)

    @property
    def title(self) -> str:
        """The model and the server, for messages."""
        version = "" if self.version is None else f", version {self.version},"
        return f"model {quoted(self.model)}{version} at {self.shown_url}"


def ask_patiently(ask: Callable[[], Outputs], *, n_retries: int) -> Outputs:
    """Repeats a request that fails in passing, with pauses of half a second, one, two …, each shortened at random.

    Neither library's own rules reach far enough: gRPC's know no deadline per attempt and end after five, urllib3's before an
    answer's body is read.

    Raises:
        ServingError: If the last attempt fails too; at once, if another attempt would not help.
        UnusableServerError: Likewise, where no file would fare better.
    """
    n_failed = 0
    while True:
        try:
            return ask()
        except TransientError as error:
            n_failed += 1
            if n_failed > n_retries:
                kind = UnusableServerError if isinstance(error, UnreachableError) else ServingError
                raise kind(f"{error} ({n_failed} attempts)" if n_failed > 1 else str(error)) from error
        longest = _FIRST_PAUSE_SECONDS * 2 ** min(n_failed - 1, _MOST_DOUBLINGS)
        time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 (many clients must not come back at the same moment)


def answered_probabilities(outputs: Mapping[str, NDArray[Any]], *, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The softmax of the chunks of all items, of shape (n_chunks, n_genres); what fills an item's outputs up is left out.

    Raises:
        ServingError: If the model could not classify an item; in its words.
        UnusableServerError: If these are not the outputs of a model that train.py exported.
    """
    try:
        if reason := next(filter(None, map(_text, outputs["error"])), ""):
            raise ServingError(one_line(reason))
        items = zip(outputs["chunk_probabilities"], outputs["n_chunks"].tolist(), strict=True)
        probabilities = np.concatenate([item[: int(n)] for item, n in items]).astype(np.float32)
        if probabilities.shape != shape:
            raise ValueError(f"chunk_probabilities must have the shape (n_chunks, n_genres) = {shape}, got {probabilities.shape}")
        return probabilities
    except KeyError as error:
        raise UnusableServerError(f"the model's {SIGNATURE} has no output {error}: not exported by this version") from error
    except (IndexError, TypeError, ValueError) as error:
        raise UnusableServerError(f"the model's {SIGNATURE} answers something else than train.py exports: {error}") from error


def answered_text(outputs: Mapping[str, NDArray[Any]], name: str) -> str:
    """An output of the first item that is a string.

    Raises:
        UnusableServerError: If there is none.
    """
    try:
        return _text(outputs[name][0])
    except (KeyError, IndexError, TypeError) as error:
        raise UnusableServerError(f"the model's {SIGNATURE} has no output {name}: not exported by this version") from error


def refusal(address: Address, message: str, *, unknown_model: bool) -> Exception:
    """What a server's refusal, in its own words, means: for every file, or for this one."""
    message = one_line(message)
    if unknown_model:
        return UnusableServerError(f"there is no {address.title} (the server: {message})")
    # The status is the same as for a bad input, and another one over gRPC than over REST.
    if SIGNATURE in message and "not found" in message:
        return UnusableServerError(f"{address.title} has no signature {SIGNATURE}: it takes no audio (the server: {message})")
    return ServingError(f"the server refused it: {message}")


def one_line(text: str) -> str:
    """A server's message on one line, fit for a terminal, and not too long."""
    text = printable(re.sub(r"\s+", " ", text).strip())
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _text(value: Any) -> str:
    """A string of an answer: JSON's are str, those of gRPC bytes."""
    item = value.item() if isinstance(value, np.ndarray | np.generic) else value
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
