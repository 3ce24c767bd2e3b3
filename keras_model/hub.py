"""Networks on the Hugging Face Hub, `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION`, kept there as Keras keeps its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keras_model.run_folder import CARD_FILE, FRONT_END_FILE, MODEL_FILE, ExportError
from tfrecords.errors import UsageError, quoted

if TYPE_CHECKING:
    from huggingface_hub import HfUri

PREFIX = "hf://"
# What a `.keras` file holds, and what keras.saving.load_model looks for in a repository.
_KERAS_FILES = ("config.json", "metadata.json", "model.weights.h5")


def address(text: str) -> str:
    """An address that can be one of a network.

    Raises:
        UsageError: If it cannot.
    """
    _parsed(text)
    return text


def fetch(address: str) -> Path:
    """Brings a network and its front end, of one revision, into the cache of the Hub's client.

    Its SavedModel stays where it is: that is a program, and whose it is nobody has looked at.

    Returns:
        A folder that keras.saving.load_model loads, with `front_end.json` in it.

    Raises:
        UsageError: If there is no such repository, or it cannot be read.
    """
    from huggingface_hub import snapshot_download

    repository = _parsed(address)
    with _one_line(UsageError, f"{address} cannot be read"):
        names = [*_KERAS_FILES, FRONT_END_FILE]
        return Path(snapshot_download(repository.id, revision=repository.revision, allow_patterns=names, library_name="keras"))


def upload(exported: Path, run: Path, *, card: str, address: str) -> str:
    """Puts what was exported of a run into a repository, in one commit; makes the repository where there is none.

    At its root lie the card, the network as Keras keeps it on the Hub, and its front end.

    Args:
        exported: Folder of the exports, to which these files are added.
        run: Folder of the run.
        card: Of the network.
        address: Of the repository.

    Returns:
        The repository's web page.

    Raises:
        ExportError: If the Hub does not take it.
    """
    from huggingface_hub import HfApi

    repository, api = _parsed(address), HfApi(library_name="keras")
    shutil.unpack_archive(run / MODEL_FILE, exported, "zip")
    shutil.copy(run / FRONT_END_FILE, exported)
    (exported / CARD_FILE).write_text(card, encoding="utf-8")
    with _one_line(ExportError, f"{address} cannot be written"):
        page = api.create_repo(repository.id, exist_ok=True)
        api.upload_folder(
            repo_id=repository.id, revision=repository.revision, folder_path=exported, commit_message="A network and its exports"
        )
    return str(page)


def _parsed(address: str) -> "HfUri":
    from huggingface_hub import parse_hf_uri

    try:
        found = parse_hf_uri(address)
    except ValueError as error:
        raise UsageError(" ".join(str(error).split())) from error
    if found.type != "model" or found.path_in_repo:
        raise UsageError(
            f"an address of a network reads {PREFIX}OWNER/NAME or {PREFIX}OWNER/NAME@REVISION, got {quoted(address)}"
        )
    return found


@contextmanager
def _one_line(kind: type[Exception], problem: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # The transport below the client has errors of its own, and the client changes transports.
        raise kind(f"{problem}: {' '.join(str(error).split()) or type(error).__name__}") from error
