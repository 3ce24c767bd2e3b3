"""Input and output behind URLs: a real S3 client of Beam's against a real S3 server on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

import run_pipeline
from tests.helpers import WriteCorpus, build, digests
from tfrecords.manifest import read_dataset

BUCKET = "tracks"
KEYS = {"aws_access_key_id": "someone", "aws_secret_access_key": "nothing-secret", "region_name": "us-east-1"}


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> Any:
    client = boto3.client("s3", endpoint_url=endpoint, **KEYS)
    client.create_bucket(Bucket=BUCKET)
    return client


def objects(bucket: Any, prefix: str) -> dict[str, bytes]:
    listed = bucket.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {one["Key"].removeprefix(prefix): bucket.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed}


def run(endpoint: str, *arguments: str) -> int:
    keys = [f"--s3_{name.removeprefix('aws_').removesuffix('_name')}={value}" for name, value in KEYS.items()]
    keys = [key.replace("--s3_region=", "--s3_region_name=") for key in keys]
    return run_pipeline.main([*arguments, "--chunks-per-track", "4", f"--s3_endpoint_url={endpoint}", *keys])


def test_the_same_bytes_from_and_to_an_object_store(
    write_corpus: WriteCorpus, tmp_path: Path, bucket: Any, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(n_tracks=2, parent="Data/genres_original")
    for path in corpus.rglob("*.wav"):
        bucket.upload_file(str(path), BUCKET, f"in/{path.relative_to(corpus).as_posix()}")
    bucket.put_object(Bucket=BUCKET, Key="in/Data/genres_original/hum/bad.wav", Body=b"no audio")
    for place in ("in/readme.txt", "in/Data/other/x.wav", "in/Data/genres_original/hum/.hidden.wav"):
        bucket.put_object(Bucket=BUCKET, Key=place, Body=b"not indexed")
    common = ("--workers", "2")
    assert run(endpoint, "--input", f"s3://{BUCKET}/in/", "--output", f"s3://{BUCKET}/out", *common) == 0
    assert "hum/bad.wav: does not decode" in capsys.readouterr().out
    (corpus / "Data" / "genres_original" / "hum" / "bad.wav").write_bytes(b"no audio")
    corpus.rename(tmp_path / "in")
    build(tmp_path / "in", tmp_path / "here", workers=1)
    downloaded = tmp_path / "downloaded"
    for name, data in objects(bucket, "out/").items():
        (downloaded / name).parent.mkdir(parents=True, exist_ok=True)
        (downloaded / name).write_bytes(data)
    assert read_dataset(downloaded)
    assert digests(downloaded) == digests(tmp_path / "here")

    # A dataset that is there is not replaced unasked; asked for, it leaves nothing of the old one, and decodes nothing.
    assert run(endpoint, "--input", f"s3://{BUCKET}/in", "--output", f"s3://{BUCKET}/out", *common) == 2
    assert "exists; use --overwrite" in capsys.readouterr().err
    again = ("--overwrite", "--num-shards", "2", "--workers", "1")
    assert run(endpoint, "--input", f"s3://{BUCKET}/in", "--output", f"s3://{BUCKET}/out", *again) == 0
    assert "0 track(s) computed, 6 taken from an earlier run" in capsys.readouterr().out
    assert {name for name in objects(bucket, "out/") if not name.startswith("features/")} == {
        "dataset.json",
        "rejected.jsonl",
        "tracks.jsonl",
        *(f"{split}-0000{number}-of-00002.tfrecord" for split in ("train", "test") for number in (0, 1)),
    }


@pytest.mark.parametrize(
    ("option", "url", "message"),
    [
        ("--input", "s3://tracks/nowhere", "s3://tracks/nowhere holds no tracks"),
        ("--input", "s3://tracks/[in]", "a URL may hold none of"),
        ("--output", "ftp://tracks/out", "expected a path, or a URL such as gs:// or s3://"),
        ("--features", "ftp://tracks/out", "expected a path, or a URL such as gs:// or s3://"),
    ],
)
def test_urls_that_cannot_be_used(
    write_corpus: WriteCorpus,
    tmp_path: Path,
    bucket: Any,
    endpoint: str,
    option: str,
    url: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {"--input": str(write_corpus()), "--output": str(tmp_path / "out")} | {option: url}
    assert run(endpoint, *(word for pair in options.items() for word in pair), "--workers", "1") == 2
    error = capsys.readouterr().err
    assert error.startswith("run_pipeline.py: ")
    assert message in error
    assert not (tmp_path / "out").exists()
