"""A served model over HTTP: TensorFlow Serving's REST interface."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from http.client import BadStatusLine, RemoteDisconnected
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
from numpy.typing import NDArray
from requests.utils import get_auth_from_url
from urllib3.exceptions import NewConnectionError

from keras_model.serving_client.protocol import (
    CONNECT_SECONDS,
    SIGNATURE,
    Address,
    Outputs,
    ServingError,
    TransientError,
    UnreachableError,
    UnusableServerError,
    one_line,
    refusal,
)

# 429 and 504 are what TensorFlow Serving makes of a full queue and a deadline; the others come from proxies before it, too.
_TRANSIENT = (429, 502, 503, 504)
# What a proxy's own page may say of one file: that it is too large, for instance.
_OF_ONE_FILE = (400, 413, *range(500, 600))


class RestServer:
    """A model at an address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._shown_url = address.shown_url
        version = "" if address.version is None else f"/versions/{address.version}"
        self._url = f"{address.shown_url.rstrip('/')}/v1/models/{quote(address.model, safe='')}{version}:predict"
        self._session = requests.Session()
        # Apart from the URL, which the library repeats in messages.
        if any(user_and_password := get_auth_from_url(address.url)):
            self._session.auth = user_and_password

    def ask(self, waveforms: NDArray[np.float32], n_samples: NDArray[np.int32], sample_rate: int) -> Outputs:
        """The outputs of signature `classify_waveform`, asked for once, for waveforms (n, samples) in ±1.

        Args:
            waveforms: One an item, filled up.
            n_samples: Their own lengths, (n,).
            sample_rate: Of all, in Hz.

        Raises:
            TransientError: If another attempt may fare better.
            ServingError: If it would not.
            UnusableServerError: If no file would fare better.
        """
        rates = [sample_rate] * len(waveforms)
        response = self._post({"waveform": waveforms.tolist(), "n_samples": n_samples.tolist(), "sample_rate": rates})
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response)
        try:
            return {name: np.array(value) for name, value in response.json()["outputs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._no_serving(response) from error

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    def _post(self, inputs: dict[str, list[Any]]) -> requests.Response:
        seconds = self._address.timeout_seconds
        try:
            return self._session.post(
                self._url,
                json={"signature_name": SIGNATURE, "inputs": inputs},
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,  # to another place a redirected POST would go as a GET
            )
        except requests.RequestException as error:
            causes = list(_causes(error))
            # Without the connection objects that urllib3 names before it.
            reason = one_line(re.sub(r"^(<.*?>|\w+\(host=.*?\)): ", "", str(causes[-1])) or type(causes[-1]).__name__)
            if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.SSLError):
                raise UnusableServerError(f"{self._shown_url} cannot be asked: {reason}") from error
            if isinstance(error, requests.ConnectTimeout) or any(isinstance(cause, NewConnectionError) for cause in causes):
                raise UnreachableError(f"{self._shown_url} is not reachable: {reason}") from error
            if isinstance(error, requests.Timeout):
                raise TransientError(f"no answer from {self._shown_url} within {seconds:g} s") from error
            if isinstance(causes[-1], BadStatusLine) and not isinstance(causes[-1], RemoteDisconnected):
                raise UnusableServerError(f"{self._shown_url} does not speak HTTP; is it the gRPC port?") from error
            raise TransientError(f"the connection to {self._shown_url} was lost: {reason}") from error

    def _refusal(self, response: requests.Response) -> Exception:
        try:
            message = str(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            message = ""
        answered = f"{self._shown_url} answered {response.status_code} {response.reason}"
        if response.status_code in _TRANSIENT:
            return TransientError(f"{answered}: {one_line(message)}" if message else answered)
        if message:
            return refusal(self._address, message, unknown_model=response.status_code == HTTPStatus.NOT_FOUND)
        return ServingError(answered) if response.status_code in _OF_ONE_FILE else self._no_serving(response)

    def _no_serving(self, response: requests.Response) -> Exception:
        status = f"{response.status_code} {response.reason}"
        return UnusableServerError(f"{self._shown_url} does not answer as TensorFlow Serving's REST does ({status})")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
