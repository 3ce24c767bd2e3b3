"""Input and output behind URLs: a real S3 client of Beam's against a real S3 server on loopback."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from beam_pipeline.plan import STAGING
from tests.conftest import REPOSITORY
from tests.helpers import WriteCorpus, build, digests
from tests.object_store import BUCKET, KEYS, objects, run
from tfrecords import verify
from tfrecords.dataset.folder import read_dataset


def test_the_same_bytes_from_and_to_an_object_store(
    write_corpus: WriteCorpus,
    tmp_path: Path,
    bucket: Any,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    corpus = write_corpus(n_tracks=2, parent="Data/genres_original")
    for path in corpus.rglob("*.wav"):
        bucket.upload_file(str(path), BUCKET, f"in/{path.relative_to(corpus).as_posix()}")
    bucket.put_object(Bucket=BUCKET, Key="in/Data/genres_original/hum/bad.wav", Body=b"no audio")
    for folder in ("in/", "in/Data/genres_original/hum/", "out/", f"out/{STAGING}/"):
        bucket.put_object(Bucket=BUCKET, Key=folder)  # as consoles do
    for place in ("in/readme.txt", "in/Data/other/x.wav", "in/Data/genres_original/hum/.hidden.wav"):
        bucket.put_object(Bucket=BUCKET, Key=place, Body=b"not indexed")
    common = ("--workers", "2", "--features", f"s3://{BUCKET}/features")
    assert run(endpoint, "--input", f"s3://{BUCKET}/in/", "--output", f"s3://{BUCKET}/out", *common) == 0
    assert "hum/bad.wav: does not decode" in capsys.readouterr().out
    (corpus / "Data" / "genres_original" / "hum" / "bad.wav").write_bytes(b"no audio")
    corpus.rename(tmp_path / "in")
    build(tmp_path / "in", tmp_path / "here", workers=1, keep_features=False)
    downloaded = tmp_path / "downloaded"
    for name, data in objects(bucket, "out/").items():
        if name.endswith("/") or not name:
            continue
        (downloaded / name).parent.mkdir(parents=True, exist_ok=True)
        (downloaded / name).write_bytes(data)
    assert read_dataset(downloaded)
    for name, value in {"AWS_ENDPOINT_URL": endpoint, **{name.upper(): value for name, value in KEYS.items()}}.items():
        monkeypatch.setenv(name, value)
    assert verify.main([f"s3://{BUCKET}/out/"]) == 0
    assert digests(downloaded) == digests(tmp_path / "here")

    # A dataset that is there is not replaced unasked; asked for, it leaves nothing of the old one, and decodes nothing.
    assert run(endpoint, "--input", f"s3://{BUCKET}/in", "--output", f"s3://{BUCKET}/out", *common) == 2
    assert "exists; use --overwrite" in capsys.readouterr().err
    again = (*common, "--overwrite", "--num-shards", "2", "--workers", "1")
    assert run(endpoint, "--input", f"s3://{BUCKET}/in", "--output", f"s3://{BUCKET}/out", *again) == 0
    assert "0 track(s) computed, 6 taken from an earlier run" in capsys.readouterr().out
    names = {name for name in objects(bucket, "out/") if name and STAGING not in name}
    assert sorted(re.sub("-[0-9a-f]{8}(?=[-.])", "-#", name) for name in names) == [
        "README.md",
        "croissant.json",
        "dataset.json",
        "dataset_info.json",
        "rejected.jsonl",
        *(f"test-#-0000{number}-of-00002.tfrecord" for number in (0, 1)),
        "tracks-#.jsonl",
        *(f"train-#-0000{number}-of-00002.tfrecord" for number in (0, 1)),
    ]


@pytest.mark.parametrize(
    ("option", "url", "message"),
    [
        ("--input", "s3://tracks/nowhere", "s3://tracks/nowhere holds no tracks"),
        ("--input", "s3://tracks/[in]", "a URL may hold none of"),
        ("--output", "ftp://tracks/out", "expected a path, or a URL such as gs:// or s3://"),
        ("--features", "ftp://tracks/out", "expected a path, or a URL such as gs:// or s3://"),
        ("--output", "s3://tracks/out --features s3://tracks/out/features", "behind a URL it must lie beside it"),
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
    assert run(endpoint, *(word for pair in options.items() for word in " ".join(pair).split()), "--workers", "1") == 2
    error = capsys.readouterr().err
    assert error.startswith("run_pipeline.py: ")
    assert message in error
    assert not (tmp_path / "out").exists()


def test_the_environment_alone_tells_where_the_store_is(
    write_corpus: WriteCorpus, tmp_path: Path, bucket: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is set up elsewhere: with no option of Beam's on the command line."""
    settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, **{name.upper(): value for name, value in KEYS.items()}}.items():
        monkeypatch.setenv(name, value)
    corpus = write_corpus(n_tracks=2)
    for path in corpus.rglob("*.wav"):
        bucket.upload_file(str(path), BUCKET, f"in/{path.relative_to(corpus).as_posix()}")
    for source, target in ((f"s3://{BUCKET}/in", str(tmp_path / "here")), (str(corpus), f"s3://{BUCKET}/there")):
        command = [sys.executable, "run_pipeline.py", "--input", source, "--output", target, "--workers", "1"]
        subprocess.run([*command, "--chunks-per-track", "4"], cwd=REPOSITORY, check=True, timeout=60)
    assert len(read_dataset(tmp_path / "here").shards) == 2
    assert "dataset.json" in objects(bucket, "there/")
