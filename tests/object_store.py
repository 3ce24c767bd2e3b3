"""A real S3 server on loopback, and runs that Beam's S3 client serves."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boto3
import requests
from moto.server import ThreadedMotoServer

from beam_pipeline import run_pipeline
from tests.waiting import wait_until

BUCKET = "tracks"
KEYS = {"aws_access_key_id": "someone", "aws_secret_access_key": "nothing-secret", "region_name": "us-east-1"}


@contextmanager
def server() -> Iterator[str]:
    """Serves nothing yet; yields the address."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10)  # it remembers what one before it had
    yield f"http://{host}:{port}"
    moto.stop()


@contextmanager
def server_process() -> Iterator[str]:
    """The same in a process of its own, for readers in TensorFlow's threads, which must not wait for one of Python's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    try:
        wait_until(lambda: _answers(port), process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def make_bucket(endpoint: str) -> Any:
    """Makes the bucket, and returns a client."""
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
