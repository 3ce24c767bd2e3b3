"""How hard the demo corpus is: track accuracy of the demo's network, of a linear classifier, and with shuffled labels.

For each seed a corpus is made and taken the whole way by the commands of `make demo`. The linear classifier sees each chunk's
mean spectrum; it is the better one of logistic regressions of several strengths, chosen on the test tracks in its favour. For
the shuffled labels the same tracks are dealt to the genre folders at random.

    python -m benchmarks.demo_difficulty --seeds 5
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from beam_pipeline.corpora.demo import write_demo_corpus
from keras_model.evaluation.votes import vote
from tfrecords.dataset.folder import read_manifest
from tfrecords.records.reading import read_split

TRAINING = ("--batchnorm", "--epochs", "20", "--learning-rate", "1e-4", "--batch-size", "32")


def _run(*command: str | Path) -> None:
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)


def _network_accuracy(corpus: Path, work: Path, seed: int) -> tuple[float, Path]:
    """Track accuracy by maximum probability of a network trained on a corpus, and the dataset's folder."""
    dataset, run = work / "dataset", work / "run"
    _run("run_pipeline.py", "--runner", "DirectRunner", "--input", corpus, "--output", dataset, "--seed", str(seed))
    _run("train.py", *TRAINING, "--data", dataset, "--output", run, "--seed", str(seed))
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return metrics["final"]["maximum"], dataset


def _linear_accuracy(dataset: Path) -> float:
    manifest = read_manifest(dataset)
    train, test = (list(read_split(dataset, manifest, split)) for split in ("train", "test"))
    spectra = [np.stack([record.log_mel.mean(axis=1) for record in records]) for records in (train, test)]
    label_of = {record.track_id: record.label for record in test}
    accuracies = []
    for strength in (0.001, 0.01, 0.1, 1.0, 10.0):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000))
        classifier.fit(spectra[0], [record.label for record in train])
        votes = vote(classifier.predict_proba(spectra[1]), [record.track_id for record in test])
        labels = np.asarray([label_of[track_id] for track_id in votes.track_ids])
        accuracies.append(float(np.mean(votes.maximum == labels)))
    return max(accuracies)


def _shuffle_labels(corpus: Path, shuffled: Path, seed: int) -> None:
    """Links a corpus' tracks into the genre folders at random, as many in each as before."""
    paths = sorted((corpus / "genres").glob("*/*.wav"))
    folders = [path.parent.name for path in paths]
    for path, folder in zip(paths, np.random.default_rng(seed).permutation(folders), strict=True):
        link = shuffled / "genres" / folder / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def main() -> None:
    """Prints a table with a row per seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("seed  network  linear  shuffled labels   (track accuracy, SYNTHETIC audio, 30 test tracks)", flush=True)
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            for _ in write_demo_corpus(work / "corpus", workers=2, seed=seed):
                pass
            network, dataset = _network_accuracy(work / "corpus", work / "true", seed)
            _shuffle_labels(work / "corpus", work / "dealt", seed)
            rows.append((network, _linear_accuracy(dataset), _network_accuracy(work / "dealt", work / "shuffled", seed)[0]))
            print(f"{seed:4}  {rows[-1][0]:7.1%}  {rows[-1][1]:6.1%}  {rows[-1][2]:15.1%}", flush=True)
    mean = np.mean(rows, axis=0)
    print(f"mean  {mean[0]:7.1%}  {mean[1]:6.1%}  {mean[2]:15.1%}")


if __name__ == "__main__":
    main()
