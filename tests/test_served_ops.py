"""The SavedModel needs stock TensorFlow alone: run without this project, and from a program that is not Python."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.conftest import synthetic_track
from tests.served import by_pipeline, version_of, wav

C_PROGRAM = Path(__file__).parent / "c_program" / "classify.c"

WITHOUT_THE_PROJECT = """
import json, sys
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

version, wav = sys.argv[1:]
saved_model = saved_model_pb2.SavedModel.FromString(open(version + "/saved_model.pb", "rb").read())
graph = saved_model.meta_graphs[0].graph_def
functions = {function.signature.name for function in graph.library.function}
nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
operations = {node.op for node in nodes} - functions
signatures = tf.saved_model.load(version).signatures
audio = tf.io.read_file(wav)
samples, rate = tf.audio.decode_wav(audio)
answers = {
    "serving_default": signatures["serving_default"](log_mel=tf.fill((2, 80, 80), 11.0)),
    "classify_audio": signatures["classify_audio"](audio=tf.stack([audio, b"no audio"])),
    "classify_waveform": signatures["classify_waveform"](
        waveform=tf.transpose(samples), n_samples=tf.shape(samples)[:1], sample_rate=rate[tf.newaxis]
    ),
    "classify_examples": signatures["classify_examples"](inputs=tf.constant([b""])),
}
print(json.dumps({
    "unknown": sorted(name for name in operations if op_def_registry.get(name) is None),
    "n_operations": len(operations),
    "python": sorted(name for name in operations if "PyFunc" in name or "Xla" in name),
    "modules": sorted({name.split(".")[0] for name in sys.modules} & {"keras_model", "tfrecords", "tensorflow_io"}),
    "genres": {name: answer["genre"].numpy().astype(str).tolist() for name, answer in answers.items() if "genre" in answer},
    "scores": answers["classify_examples"]["scores"].numpy().tolist(),
}))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tracks, the second of another rate, width and number of channels, and one that is no audio."""
    folder = tmp_path_factory.mktemp("files")
    first = synthetic_track("noise", 5, seconds=2.5)
    second = np.stack([np.repeat(synthetic_track("hum", 5, seconds=2.0), 2)] * 2, axis=1)
    contents = {"a.wav": wav(first), "b.wav": wav(second, 44100, subtype="PCM_24"), "c.wav": b"no audio"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_only_operations_of_stock_tensorflow(run: Path, files: list[Path], tmp_path: Path) -> None:
    """In a folder where none of the project can be imported, with every signature run."""
    command = [sys.executable, "-I", "-c", WITHOUT_THE_PROJECT, str(version_of(run)), str(files[0])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n_operations"] > 50, "the graph's operations were found"
    assert found["unknown"] == []
    assert found["python"] == []
    assert found["modules"] == []
    assert "custom gradients" not in done.stderr, "whoever loads the model is not warned of what only training needs"
    genre = by_pipeline(run, files[0].read_bytes()).genre
    assert found["genres"]["classify_audio"] == [genre, ""]
    assert found["genres"]["classify_waveform"] == [genre]
    assert len(found["genres"]["serving_default"]) == 2
    assert found["scores"] == [[0.0, 0.0, 0.0]]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc, which compiles the program")
def test_a_c_program_classifies_the_same(run: Path, files: list[Path], tmp_path: Path) -> None:
    """Through the TensorFlow C library that lies in the tensorflow wheel."""
    library = tf.sysconfig.get_lib()
    program = tmp_path / "classify"
    libraries = [f"-l:{name}" for name in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")]
    command = ["gcc", "-O1", "-Wall", "-Werror", "-o", str(program), str(C_PROGRAM), f"-I{tf.sysconfig.get_include()}"]
    subprocess.run([*command, f"-L{library}", f"-Wl,-rpath,{library}", *libraries], check=True)
    saved_model = saved_model_pb2.SavedModel.FromString((version_of(run) / "saved_model.pb").read_bytes())
    signature = saved_model.meta_graphs[0].signature_def["classify_audio"]
    tensors = [signature.inputs["audio"].name, *(signature.outputs[name].name for name in ("genre", "error", "n_chunks"))]
    done = subprocess.run(
        [str(program), str(version_of(run)), *tensors, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    for answer, file in zip(answers, files[:2], strict=False):
        expected = by_pipeline(run, file.read_bytes())
        assert answer == [expected.genre, str(expected.n_chunks), ""]
    assert answers[2][:2] == ["", "0"]
    assert "WAV" in answers[2][2]
