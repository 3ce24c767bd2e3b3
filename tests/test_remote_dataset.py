"""What reads a dataset from a folder reads it from a URL. The store is a real S3 server on loopback."""

import gc
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from keras_model import evaluate, train
from keras_model.data.split_data import SplitData, load_split
from tests.conftest import STOCK
from tests.object_store import BUCKET, KEYS, make_bucket, server_process
from tests.tiny_dataset import TinyDataset
from tfrecords import load_dataset, places, show, verify
from tfrecords.dataset.folder import read_dataset
from tfrecords.places import Place, RemoteFile, place_of
from tfrecords.records.shard_records import shard_errors
from tfrecords.records.shards import open_shard

URL = f"s3://{BUCKET}/data"
TRAINING = ("--epochs", "2", "--batch-size", "16", "--no-export", *STOCK)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with server_process() as address:
        yield address


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the store, and the environment of its user."""
    requests.post(f"{address}/moto-api/reset", timeout=10)
    keys = {name.upper(): value for name, value in KEYS.items() if name != "region_name"}
    for name, value in {"AWS_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true", **keys}.items():
        monkeypatch.setenv(name, value)
    places._client.cache_clear()
    yield make_bucket(address)
    gc.collect()  # what a training that failed was reading from the store
    places._client.cache_clear()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the objects that are opened."""
    names: list[str] = []
    opened = RemoteFile.__init__

    def note(file: RemoteFile, url: str) -> None:
        names.append(url.rpartition("/")[2])
        opened(file, url)

    monkeypatch.setattr(RemoteFile, "__init__", note)
    return names


@pytest.fixture
def tiny(tmp_path: Path) -> TinyDataset:
    return TinyDataset(tmp_path / "tiny", tracks_per_genre=30)


def upload(folder: Path, bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="data/")  # as consoles do
    for path in folder.iterdir():
        if path.is_file():
            bucket.upload_file(str(path), BUCKET, f"data/{path.name}")


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def batches(split: SplitData) -> list[np.ndarray]:
    found = []
    for batch in split.training_batches(batch_size=7, n_genres=3, seed=5, n_epochs=3):
        found += [part.numpy() for part in batch]
    return found


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_batches_from_a_store_are_those_from_a_folder(cache_bytes: int, tiny: TinyDataset, bucket: Any, tmp_path: Path) -> None:
    upload(tiny.folder, bucket)
    places: tuple[Place, ...] = (tiny.folder, place_of(URL), place_of(URL, cache_dir=tmp_path / "cache"))
    here, *there = (
        load_split(place, read_dataset(place), "train", cache_bytes=cache_bytes, for_training=True) for place in places
    )
    assert len(batches(here)) == 3 * 3 * here.n_batches(7)
    for split in there:
        assert split.labels.tolist() == here.labels.tolist()
        assert split.track_ids == here.track_ids
        for one, other in zip(batches(here), batches(split), strict=True):
            np.testing.assert_array_equal(one, other)


def test_load_dataset_takes_a_url(tiny: TinyDataset, bucket: Any, tmp_path: Path) -> None:
    upload(tiny.folder, bucket)
    here = list(load_dataset(tiny.folder, "test").as_numpy_iterator())
    for cache_dir in (None, tmp_path / "cache"):
        there = load_dataset(URL, "test", cache_dir=cache_dir)
        assert len(there) == len(here)
        for one, other in zip(here, there.as_numpy_iterator(), strict=True):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_run_from_a_store_is_the_run_from_a_folder(
    dataset: Path, bucket: Any, tmp_path: Path, fetched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    upload(dataset, bucket)
    assert train.main(["--data", str(dataset), "--output", str(tmp_path / "here"), *TRAINING]) == 0
    for name, options in (("streamed", ()), ("copied", ("--cache-dir", str(tmp_path / "cache")))):
        fetched.clear()
        assert train.main(["--data", URL, "--output", str(tmp_path / name), *options, *TRAINING]) == 0
        here, there = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("here", name))
        assert there["epochs"] == here["epochs"]
        assert there["final"] == here["final"]
        assert there["dataset"] == here["dataset"]
        assert there["options"]["data"] == json.loads((tmp_path / name / "options.json").read_text())["options"]["data"] == URL
        trained_on = [shard for shard in fetched if shard.startswith("train-")]
        assert len(trained_on) == len(set(trained_on)) == 2, "a shard is fetched twice"

    # A run goes on with what it remembers, here with copies alone.
    fetched.clear()
    assert train.main(["--resume", str(tmp_path / "copied"), "--epochs", "3"]) == 0
    assert not [name for name in fetched if name.endswith(".tfrecord")]
    capsys.readouterr()
    assert evaluate.main([str(tmp_path / "copied"), "--data", URL, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["raw"] == json.loads((tmp_path / "copied" / "metrics.json").read_text())["final"]["raw"]


def test_verify_and_show_read_what_lies_in_a_store(
    tiny: TinyDataset, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(tiny.folder, bucket)
    assert verify.main([URL]) == 0
    assert f"{URL}: all as dataset.json says; 6 shard(s), 90 tracks, 270 records" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert show.main([URL]) == 0
    there = capsys.readouterr().out
    assert show.main([str(tiny.folder), "--output", "here.html"]) == 0
    assert there.split("Page")[0] == capsys.readouterr().out.split("Page")[0]
    assert (tmp_path / "data.html").read_bytes() == (tmp_path / "here.html").read_bytes()

    bucket.put_object(Bucket=BUCKET, Key="data/stray.txt", Body=b"stray")
    bucket.delete_object(Bucket=BUCKET, Key="data/test-00000-of-00002.tfrecord")
    assert verify.main([URL]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "stray.txt: is not named by dataset.json" in lines
    assert "test-00000-of-00002.tfrecord: is missing" in lines


@pytest.mark.parametrize("options", [(), ("--cache-dir", "cache"), ("--cache-gib", "0")], ids=["read once", "copied", "streamed"])
def test_a_damaged_shard_is_told_in_one_line(
    options: tuple[str, ...],
    dataset: Path,
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upload(dataset, bucket)
    name = read_dataset(dataset).shards_of("train")[1].name
    data = bytearray((dataset / name).read_bytes())
    data[-2000] ^= 1
    bucket.put_object(Bucket=BUCKET, Key=f"data/{name}", Body=bytes(data))
    monkeypatch.chdir(tmp_path)
    assert train.main(["--data", URL, *options, *TRAINING]) == 2
    line = one_line(capsys)
    assert line.startswith(f"train.py: {URL}/{name}")
    assert "damaged" in line
    assert not (tmp_path / "cache" / f"{read_dataset(dataset).shards_of('train')[1].sha256}.tfrecord").exists()
    assert not list((tmp_path / "cache").glob(".*"))


def test_another_file_of_whole_records_in_a_shards_place_is_damage(tiny: TinyDataset, bucket: Any) -> None:
    upload(tiny.folder, bucket)
    tiny.replace_record("train-00000-of-00002.tfrecord", 0, log_mel=np.zeros(tiny.spec.shape, np.float32))
    bucket.upload_file(str(tiny.folder / "train-00000-of-00002.tfrecord"), BUCKET, "data/train-00000-of-00002.tfrecord")
    place = place_of(URL)
    with open_shard(place, read_dataset(place).shards_of("train")[0]) as file, pytest.raises(ValueError, match="SHA-256"):
        file.read()


def test_a_copy_that_was_damaged_is_made_again(tiny: TinyDataset, bucket: Any, tmp_path: Path, fetched: list[str]) -> None:
    upload(tiny.folder, bucket)
    place = place_of(URL, cache_dir=tmp_path / "cache")
    manifest = read_dataset(place)
    for n_fetched, damage in ((2, False), (0, False), (1, True)):
        if damage:
            next((tmp_path / "cache").iterdir()).write_bytes(b"damage")
        fetched.clear()
        load_split(place, manifest, "test", cache_bytes=0)
        assert len(fetched) == n_fetched
    assert {path.stem for path in (tmp_path / "cache").iterdir()} == {shard.sha256 for shard in manifest.shards_of("test")}


def test_a_store_that_is_gone_in_the_middle_of_a_training_is_told(tiny: TinyDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_process() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "any")
        places._client.cache_clear()
        upload(tiny.folder, make_bucket(address))
        place = place_of(URL)
        split = load_split(place, read_dataset(place), "train", cache_bytes=0, for_training=True)
        trained = iter(split.training_batches(batch_size=7, n_genres=3, seed=5, n_epochs=10**6))
        next(trained)
    with pytest.raises(OSError, match="Could not connect to server") as caught, shard_errors():
        deque(trained, maxlen=0)
    assert str(caught.value.filename).startswith(f"{URL}/train-0000")
    places._client.cache_clear()


@pytest.mark.parametrize(
    ("url", "environment", "reason"),
    [
        ("s3://nowhere/data", {}, "s3://nowhere/data cannot be read: there is no such bucket"),
        (f"s3://{BUCKET}/none", {}, f"there is no dataset in s3://{BUCKET}/none"),
        (URL, {"AWS_ACCESS_KEY_ID": ""}, f"{URL}/dataset.json cannot be read: .*ACCESS_DENIED"),
        (URL, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, f"{URL}/dataset.json cannot be read: .*Could not connect to server"),
        ("ftpx://host/data", {}, "ftpx://host/data cannot be read: expected a path, or a URL such as gs://"),
    ],
    ids=["no bucket", "no dataset", "no credentials", "no network", "no such scheme"],
)
def test_a_store_that_cannot_be_read_is_told_in_one_line(
    url: str,
    environment: dict[str, str],
    reason: str,
    run: Path,
    tiny: TinyDataset,
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upload(tiny.folder, bucket)
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    commands: dict[str, Callable[[], int]] = {"verify": lambda: verify.main([url])}
    if "nowhere" in url:
        commands["train.py"] = lambda: train.main(["--data", url])
        commands["evaluate"] = lambda: evaluate.main([str(run), "--data", url])
    for name, command in commands.items():
        try:
            status: Any = command()
        except SystemExit as ended:  # of the parser, which looks at the scheme
            status = ended.code
        assert status == 2
        assert re.search(f"^{name}: .*{reason}", one_line(capsys))


def test_only_what_lies_in_a_store_is_copied(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--data", str(dataset), "--output", str(tmp_path / "run"), "--cache-dir", str(tmp_path)]) == 2
    assert "lies on this machine" in one_line(capsys)
