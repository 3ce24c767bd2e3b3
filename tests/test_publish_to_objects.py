"""Publishing to an object store, cut off at every request: `make test-stores`, as it takes two minutes."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from beam_pipeline.plan import STAGING
from beam_pipeline.storage_errors import StorageError
from tests.cut_off import Injector, die, in_child
from tests.helpers import WriteCorpus
from tests.object_store import BUCKET, objects, run
from tests.test_publish import stop_before_publishing
from tfrecords.dataset.folder import read_dataset
from tfrecords.verification.dataset_check import DatasetCheck

REQUEST = (botocore.client.BaseClient, "_make_api_call")


def unavailable() -> None:
    raise ClientError({"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "injected")


def unreachable() -> None:
    raise EndpointConnectionError(endpoint_url="http://127.0.0.1")


@pytest.mark.stores
@pytest.mark.parametrize(
    ("happening", "after"),
    [(die, False), (die, True), (unavailable, False), (unreachable, True)],
    ids=["killed before", "killed after", "503", "unreachable after"],
)
def test_publishing_is_cut_off_at_every_request(
    happening: Callable[[], None],
    after: bool,
    write_corpus: WriteCorpus,
    tmp_path: Path,
    bucket: Any,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("beam_pipeline.storage_errors._PAUSES", ())
    corpus, output = write_corpus(n_tracks=2), f"s3://{BUCKET}/out"
    common = ["--input", str(corpus), "--workers", "1", "--no-features"]

    def dataset(prefix: str, place: str) -> Path:
        folder = tmp_path / place
        folder.mkdir()
        for name, data in objects(bucket, prefix).items():
            if STAGING not in name:
                (folder / name).write_bytes(data)
        return folder

    assert run(endpoint, *common, "--output", output) == 0
    assert run(endpoint, *common, "--output", f"s3://{BUCKET}/new", "--seed", "1") == 0
    old, new = (read_dataset(dataset(f"{name}/", name)).fingerprint for name in ("out", "new"))
    saved: dict[str, Any] = {}

    def keep() -> None:
        saved["objects"] = objects(bucket, "out/")

    saved["keep"] = keep
    stop_before_publishing(monkeypatch, lambda: run(endpoint, *common, "--output", output, "--seed", "1", "--overwrite"), saved)

    def reset() -> None:
        for name in objects(bucket, "out/"):
            bucket.delete_object(Bucket=BUCKET, Key=f"out/{name}")
        for name, data in saved["objects"].items():
            bucket.put_object(Bucket=BUCKET, Key=f"out/{name}", Body=data)

    def publish() -> None:
        list(saved["publisher"].process(None, **pickle.loads(saved["reported"])))  # noqa: S301

    def cut_off(injector: Injector) -> int | None:
        def work() -> int:
            owner, name = REQUEST
            setattr(owner, name, injector.wrapped(getattr(owner, name)))
            try:
                publish()
            except (StorageError, OSError):
                return 254
            return min(injector.n_calls, 253)

        return in_child(work)

    reset()
    n_calls = cut_off(Injector(0, happening=die)) or 0
    assert 10 <= n_calls < 253
    seen = []
    for number in range(1, n_calls + 1):
        reset()
        cut_off(Injector(number, happening=happening, after=after))
        folder = dataset("out/", f"after-{number}")
        assert list(DatasetCheck(folder).problems()) == []
        seen.append(read_dataset(folder).fingerprint)
        publish()
        assert read_dataset(dataset("out/", f"again-{number}")).fingerprint == new
    assert set(seen) == {old, new}
