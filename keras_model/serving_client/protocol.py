"""What both ways to a served model share: the address, the errors, and when a request is tried again."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from keras_model.printable_text import encodable, printable
from tfrecords.errors import UsageError, quoted

SIGNATURE = "classify_audio"
# A host that is not there says nothing at all; one that is there takes a connection at once, however long it then works.
CONNECT_SECONDS = 10.0
# An hour of chunks is a megabyte; a longer answer than this is not the model's.
MAX_ANSWER_BYTES = 256 * 2**20
_GRPC_PORT = 8500
_LONGEST_TIMEOUT_SECONDS = 24 * 3600.0  # months would overflow what sockets take
_LARGEST_VERSION = 2**63 - 1  # it is an int64
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
_LONGEST_MESSAGE = 300

T = TypeVar("T")


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
    """Where a model is served.

    Attributes:
        url: http(s)://host[:port][/path], TensorFlow Serving's REST, or grpc://host[:port].
        model: Its name there.
        version: None for the server's newest.
        timeout_seconds: How long one attempt may take. Over REST this is looked at when something arrives, and no silence may
            last longer; so an attempt that begins slowly may take up to twice as long.
    """

    url: str
    model: str = "genres"
    version: int | None = None
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        expected = "http://HOST:8501, https://HOST or grpc://HOST:8500"
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https", "grpc") and parts.hostname and parts.port != 0
            valid = valid and self.url == encodable(self.url)
        except ValueError:  # a port that is no number, a bracket that is not closed
            valid = False
        if not valid or parts.query or parts.fragment or (self.is_grpc and parts.path.strip("/")):
            shown = re.sub(r"(?s)^(\w+://)?.*@", r"\1", self.url)  # a password may be what makes it invalid
            raise UsageError(f"the URL must be like {expected}, got {quoted(shown)}")
        if not self.model:
            raise UsageError("the model's name must not be empty")
        if self.model != encodable(self.model):
            raise UsageError(f"the model's name must be UTF-8, got {quoted(self.model)}")
        if self.version is not None and not 0 <= self.version <= _LARGEST_VERSION:
            raise UsageError(f"the model's version must be 0 to 2**63 - 1, got {quoted(self.version)}")
        if not 0 < self.timeout_seconds <= _LONGEST_TIMEOUT_SECONDS:
            raise UsageError(f"the time-out must lie in 0..{_LONGEST_TIMEOUT_SECONDS:g} s, got {self.timeout_seconds:g}")

    @property
    def is_grpc(self) -> bool:
        """Whether the server speaks gRPC there."""
        return urlsplit(self.url).scheme == "grpc"

    @property
    def shown_url(self) -> str:
        """The URL without user and password, for messages."""
        return re.sub("//[^/]*@", "//", self.url)

    @property
    def grpc_target(self) -> str:
        """Host and port, as gRPC takes them."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or _GRPC_PORT}"

    @property
    def title(self) -> str:
        """The model and the server, for messages."""
        version = "" if self.version is None else f", version {self.version},"
        return f"model {quoted(self.model)}{version} at {self.shown_url}"


class Server(Protocol):
    """A served model, whichever protocol it speaks."""

    def ask(self, wav: bytes) -> dict[str, NDArray[Any]]:
        """Sends a WAV file once.

        Returns:
            The outputs of signature `classify_audio` for this file, without the batch's dimension; strings as str or bytes.

        Raises:
            TransientError: If another attempt may fare better.
            ServingError: If it would not.
            UnusableServerError: If no file would fare better.
        """

    def close(self) -> None:
        """Ends the connections."""


def ask_patiently(ask: Callable[[], T], *, n_retries: int, sleep: Callable[[float], None] = time.sleep) -> T:
    """Repeats a request that fails in passing, with pauses of half a second, one, two …, each shortened at random.

    Neither library's own rules reach far enough: gRPC's know no deadline per attempt and give up on requests above 256 KiB;
    urllib3's end before an answer's body is read.

    Raises:
        TransientError: If the last attempt fails too; the message says how many there were.
        ServingError: At once, if another attempt would not help.
    """
    longest = _FIRST_PAUSE_SECONDS
    for n_failed in range(1, n_retries + 2):
        try:
            return ask()
        except TransientError as error:
            if n_failed > n_retries:
                attempts = f" ({n_failed} attempts)" if n_failed > 1 else ""
                raise type(error)(f"{error}{attempts}") from error
        sleep(random.uniform(longest / 2, longest))  # noqa: S311 (many clients must not come back at the same moment)
        longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)
    raise ValueError(f"n_retries must be at least 0, got {n_retries}")


def refusal(address: Address, message: str, *, unknown_model: bool) -> Exception:
    """What a server's refusal means: for every file, or for this one.

    Args:
        address: Of the server.
        message: The server's own words.
        unknown_model: Whether the status says that there is no such model.
    """
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


def as_row(name: str, value: NDArray[Any]) -> NDArray[Any]:
    """The one row of an output.

    Raises:
        ServingError: If it does not have one.
    """
    if value.ndim == 0 or len(value) != 1:
        raise ServingError(f"the server's {quoted(name)} has the shape {value.shape}, expected one row for one file")
    return np.asarray(value[0])
