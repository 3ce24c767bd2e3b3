"""Packaging of the project; also what Beam stages for remote workers (`--setup_file ./setup.py`).

The base requirements are the pipeline's alone, so that a pipeline worker installs no TensorFlow. Floors and caps stand here,
exact pins with their hashes in requirements.lock.
"""

from setuptools import find_packages, setup

TRAIN = [
    "tensorflow>=2.21,<2.22",
    "keras>=3.15,<3.16",
    "tensorboard>=2.20,<2.22",
    "tensorflow-serving-api>=2.20,<2.22",
    "grpcio>=1.66,<2",
    "matplotlib>=3.9,<4",
    "jinja2>=3.1,<4",
    "scikit-learn>=1.5,<2",
    "requests>=2.32,<3",
    "urllib3>=2,<3",
]
LIGHT = ["onnxruntime>=1.20,<2"]
FORMATS = [
    *LIGHT,
    "ai-edge-litert>=2,<3",
    "backports-strenum<1.3",
    "onnx>=1.17,<2",
    "tf2onnx>=1.17,<2",
]
MORE_AUDIO = ["av>=18.1,<19"]
APP = ["gradio>=6.31,<7"]
TEST = [
    *APP,
    *MORE_AUDIO,
    "pytest>=8,<10",
    "pytest-xdist>=3.6,<4",
    "hypothesis>=6.100,<7",
    "boto3>=1.34,<2",
    "moto[s3]>=5.1,<6",
    "flask>=3,<4",
    "flask-cors>=5,<7",
    "jax>=0.7,<0.11",
    "tensorflow-io>=0.37.1,<0.38",
    "tensorflow-datasets>=4.9.10,<5",
    "mlcroissant>=1.1,<2",
    "markdown-it-py>=3,<5",
    "ipykernel>=7,<8",
    "mkdocstrings-python>=2,<3",
    "nbclient>=0.10,<0.12",
    "psutil>=6,<8",
    "zensical>=0.0.73,<0.0.74",
]

setup(
    name="gtzan-genres",
    version="0.1.0",
    description="GTZAN-style audio to TFRecords with Apache Beam, and a Keras network that learns genres from them",
    long_description="See README.md.",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["beam_pipeline*", "keras_model*", "tfrecords*"]),
    package_data={
        "beam_pipeline.splits": ["lists/*.json"],
        "keras_model.networks": ["gtzan_head.*"],
        "keras_model.page": ["templates/*.html"],
        "keras_model.prediction": ["templates/*.html"],
        "keras_model.reports": ["templates/*"],
        "tfrecords.display": ["templates/*.html"],
    },
    entry_points={"console_scripts": ["gtzan-genres = tfrecords.console:main"]},
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "blake3>=1,<2",
        "google-crc32c>=1.5,<2",
        "huggingface-hub>=2,<3",
        "librosa>=0.11,<0.12",
        "numpy>=2.1,<3",
        "protobuf>=5,<8",
        "pyarrow>=20,<26",
        "scipy>=1.14,<1.18",
        "soundfile>=0.13,<0.15",
        "soxr>=0.5,<2",
        "tqdm>=4.66,<5",
    ],
    extras_require={
        "train": TRAIN,
        "formats": FORMATS,
        "light": LIGHT,
        "audio": MORE_AUDIO,
        "app": APP,
        "cuda": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
        "aws": ["apache-beam[aws]>=2.77,<2.78"],
        "test": TEST,
        "dev": [*TEST, "ruff>=0.14,<1", "mypy>=1.18,<3", "setuptools>=80,<90", "uv>=0.9,<1"],
    },
)
