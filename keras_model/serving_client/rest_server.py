"""A served model over HTTP: TensorFlow Serving's REST interface."""

import base64
import json
import re
import time
from http import HTTPStatus
from http.client import BadStatusLine, RemoteDisconnected
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
from numpy.typing import NDArray
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, ReadTimeoutError

from keras_model.serving_client.protocol import (
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    SIGNATURE,
    Address,
    ServingError,
    TransientError,
    UnreachableError,
    UnusableServerError,
    one_line,
    refusal,
)

# 429 and 504 are what TensorFlow Serving makes of a full queue and a deadline; the others come from proxies before it, too.
_TRANSIENT = (429, 502, 503, 504)
_BLOCK_BYTES = 2**16


class RestServer:
    """A model at an address, one file per request: what is wrong with one file then concerns no other."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._shown_url = address.shown_url
        version = "" if address.version is None else f"/versions/{address.version}"
        self._url = f"{address.shown_url.rstrip('/')}/v1/models/{quote(address.model, safe='')}{version}:predict"
        self._session = requests.Session()
        # Apart from the URL, which the library repeats in messages; and it encodes what it gets as Latin-1.
        user, password = (part.encode().decode("latin-1") for part in get_auth_from_url(address.url))
        if user or password:
            self._session.auth = (user, password)

    def ask(self, wav: bytes) -> dict[str, NDArray[Any]]:
        """See `keras_model.serving_client.protocol.Server`."""
        instance = {"audio": {"b64": base64.b64encode(wav).decode("ascii")}}
        body = json.dumps({"signature_name": SIGNATURE, "instances": [instance]}).encode("ascii")
        status, text = self._post(body)
        if status != HTTPStatus.OK:
            raise self._refusal(status, text)
        try:
            (prediction,) = json.loads(text)["predictions"]
            return {name: np.array(value) for name, value in prediction.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._no_serving(status) from error

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    def _post(self, body: bytes) -> tuple[int, str]:
        """Sends a request, and returns the answer's status and text."""
        seconds = self._address.timeout_seconds
        connect_seconds = min(CONNECT_SECONDS, seconds)
        deadline = time.monotonic() + seconds
        try:
            with self._session.post(
                self._url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=(connect_seconds, seconds),
                allow_redirects=False,  # to another place a redirected POST would go as a GET
                stream=True,
            ) as response:
                # The library's time limit is one for silence: a server that sends a byte now and then would never reach it.
                text = bytearray()
                while block := response.raw.read1(_BLOCK_BYTES, decode_content=True):
                    text += block
                    if time.monotonic() > deadline:
                        raise TransientError(f"no whole answer from {self._shown_url} within {seconds:g} s")
                    if len(text) > MAX_ANSWER_BYTES:
                        raise ServingError(f"the answer of {self._shown_url} is larger than {MAX_ANSWER_BYTES // 2**20} MiB")
                return response.status_code, text.decode("utf-8", "replace")
        except (requests.exceptions.InvalidURL, requests.exceptions.SSLError, LocationParseError) as error:
            raise UnusableServerError(f"{self._shown_url} cannot be asked: {_reason(error)}") from error
        except requests.ConnectTimeout as error:
            raise UnreachableError(f"{self._shown_url} is not reachable: no connection in {connect_seconds:g} s") from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise TransientError(f"no answer from {self._shown_url} within {seconds:g} s") from error
        except (requests.RequestException, HTTPError) as error:
            cause = _innermost(error)
            if isinstance(cause, NewConnectionError):
                raise UnreachableError(f"{self._shown_url} is not reachable: {_reason(error)}") from error
            if isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected):
                raise UnusableServerError(f"{self._shown_url} does not speak HTTP; is it the gRPC port?") from error
            raise TransientError(f"the connection to {self._shown_url} was lost: {_reason(error)}") from error

    def _refusal(self, status: int, text: str) -> Exception:
        try:
            message = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError, RecursionError):
            message = None
        if status in _TRANSIENT:
            reason = f": {one_line(str(message))}" if message else ""
            return TransientError(f"{self._shown_url} answered {_status(status)}{reason}")
        if not isinstance(message, str):
            # A proxy's own page. Some of what it says is of one file: that it is too large, for instance.
            if (
                status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                return ServingError(f"{self._shown_url} answered {_status(status)}")
            return self._no_serving(status)
        return refusal(self._address, message, unknown_model=status == HTTPStatus.NOT_FOUND)

    def _no_serving(self, status: int) -> Exception:
        return UnusableServerError(f"{self._shown_url} does not answer as TensorFlow Serving's REST does ({_status(status)})")


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _innermost(error: BaseException) -> BaseException:
    """The error that those of requests and urllib3 are wrapped around."""
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, Exception) else None
    inner = inner or next((argument for argument in reversed(error.args) if isinstance(argument, Exception)), None)
    return error if inner is None else _innermost(inner)


def _reason(error: BaseException) -> str:
    """The innermost reason in one line, without the connection objects that urllib3 names before it."""
    cause = _innermost(error)
    return one_line(re.sub(r"^(<.*?>|\w+\(host=.*?\)): ", "", str(cause)) or type(cause).__name__)
