"""A file over HTTP, in as many pieces as it takes, all of one version of it.

A transfer that is cut short goes on where it stopped, in this run or the next. Beside the partial file lies a note of the version
that it is a part of. The server is asked for the rest of that version alone (If-Range), and its answer is compared with the note:
where the file has changed, or the server does not do ranges, the transfer begins anew.
"""

import http.client
import re
import sys
from dataclasses import replace
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, IncompleteRead, MaxRetryError
from urllib3.util import Retry

from beam_pipeline.corpora.free_space import require_space
from beam_pipeline.corpora.partial_file import PartialFile, Version, content_range, discard
from beam_pipeline.runners.progress import byte_bar

# Waits of 0, 2, 4 and 8 seconds. A server's Retry-After may say hours, and is not heeded: who runs this can run it again.
REQUEST_RETRIES = Retry(
    total=4,
    connect=2,
    read=1,
    backoff_factor=1.0,
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)
CUT_RETRIES = Retry(total=5, backoff_factor=1.0)
CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
# No archive that this project downloads is as large: a body without an end must not fill the disk.
MAX_BYTES = 4 * 2**30
_BLOCK_BYTES = 2**16


class DownloadError(RuntimeError):
    """The file did not arrive, or is another one; the message is one line, meant for the user."""


def download(url: str, path: Path, *, n_bytes: int | None, checked: bool) -> None:
    """Brings a file to a path, or the rest of it where an earlier call for the same address was cut short.

    Args:
        url: Address, http or https.
        path: Where to; its folder exists.
        n_bytes: The size that the file must have; None for any up to MAX_BYTES.
        checked: Whether the caller will check the content. If so, parts are joined also where the server says nothing by which
            to tell whether they are of one version.

    Raises:
        DownloadError: If the server cannot be reached, refuses, sends something else, or cuts the transfer time and again. What
            has come stays at the path.
        UsageError: If the disk has no room.
        OSError: If the file cannot be written.
    """
    partial = PartialFile(path, url)
    retries = CUT_RETRIES
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=REQUEST_RETRIES))
        while not partial.is_whole:
            try:
                with _ask(session, url, partial, checked=checked) as response:
                    _receive(response, partial, url=url, n_bytes=n_bytes)
            except HTTPError as error:
                try:
                    retries = retries.increment("GET", url, error=error)
                except MaxRetryError:
                    message = f"{url} was cut short time and again ({_reason(error)}); what has come is kept: run this again"
                    raise DownloadError(message) from error
                print(f"Cut short after {partial.n_bytes} bytes ({_reason(error)}); trying again", file=sys.stderr)
                retries.sleep()


def _ask(session: requests.Session, url: str, partial: PartialFile, *, checked: bool) -> requests.Response:
    """An answer that continues the partial file (206), or one that holds the file from its beginning (200)."""
    if partial.version and partial.n_bytes:
        headers = {"Range": f"bytes={partial.n_bytes}-"}
        # Behind Hugging Face's redirect one content may have several ETags; its content_id is compared instead.
        if partial.version.tag and not partial.version.content_id:
            headers["If-Range"] = partial.version.tag
        response = _get(session, url, headers)
        if response.status_code == 206:
            same = partial.version.matches(Version.of(url, response))
            if (checked if same is None else same) and content_range(response)[0] == partial.n_bytes:
                return response
        elif response.status_code != 416:  # 416: the file has become shorter
            return _must_be_ok(url, response)
        response.close()
    return _must_be_ok(url, _get(session, url, {}))


def _get(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    # "identity": of a body compressed for the journey, ranges would be ranges of the compressed bytes.
    headers = {"Accept-Encoding": "identity"} | headers
    try:
        return session.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS))
    except (requests.RequestException, HTTPError, ValueError) as error:  # the latter two: of addresses that it is redirected to
        raise DownloadError(f"{url} cannot be read: {_reason(error)}") from error


def _must_be_ok(url: str, response: requests.Response) -> requests.Response:
    if response.status_code != 200:
        response.close()
        meaning = http.client.responses.get(response.status_code, "")
        raise DownloadError(f"{url} cannot be read: the server answered {response.status_code} {meaning}".rstrip())
    return response


def _receive(response: requests.Response, partial: PartialFile, *, url: str, n_bytes: int | None) -> None:
    """Appends an answer of status 206 to the partial file, or begins it anew with one of status 200."""
    version = Version.of(url, response)
    _check_size(url, version.n_bytes, n_bytes)
    if response.status_code == 200:
        partial.begin(version)
    elif partial.version and version.n_bytes is None:
        version = replace(version, n_bytes=partial.version.n_bytes)
    done = partial.n_bytes
    if version.n_bytes is not None:
        require_space(partial.path.parent, version.n_bytes - done)
    with partial.path.open("ab") as file, byte_bar("Downloading", n_bytes=version.n_bytes, done=done) as bar:
        # As it is sent: some servers pass a .tar.gz off as a .tar that was compressed for the journey.
        for block in response.raw.stream(_BLOCK_BYTES, decode_content=False):
            done += len(block)
            if done > (n_bytes or MAX_BYTES):
                break
            file.write(block)
            bar.update(len(block))
    if version.n_bytes is not None and done < version.n_bytes:
        raise IncompleteRead(done, version.n_bytes - done)
    try:
        _check_size(url, done, n_bytes)
    except DownloadError:
        discard(partial.path)
        raise
    partial.note(replace(version, n_bytes=done))


def _check_size(url: str, found: int | None, expected: int | None) -> None:
    if found is None:
        return
    if expected is not None and found != expected:
        raise DownloadError(f"{url} is not the file: it has {found} bytes, expected {expected}")
    if found > MAX_BYTES:
        raise DownloadError(f"{url} is too large: more than {MAX_BYTES} bytes")


def _reason(error: BaseException) -> str:
    """The innermost reason in one line, without the connection objects that urllib3 names before it."""
    inner = next((arg for arg in reversed(error.args) if isinstance(arg, BaseException)), None)
    if isinstance(error, MaxRetryError):
        inner = error.reason
    if inner is not None:
        return _reason(inner)
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended"
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"^(<.*?>|\w+\(host=.*?\)): ", "", text)
