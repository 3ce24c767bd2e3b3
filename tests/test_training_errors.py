"""Training that cannot be done as asked, or not to its end: one line, and what is lost."""

import dataclasses
import errno
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from keras_model import train
from tests.conftest import STOCK
from tfrecords.dataset.folder import read_dataset


def test_a_failed_export_costs_nothing_else(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("keras_model.serving.export_check.FEATURE_TOLERANCE", -1.0)
    assert train.main(["--data", str(dataset), "--output", str(tmp_path / "run"), "--epochs", "1", *STOCK]) == 1
    assert "train.py: the served log-mels differ" in capsys.readouterr().err
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert (tmp_path / "run" / "report.html").is_file()
    assert [path.name for path in (tmp_path / "run" / "export").rglob("*")] == ["genres"]


def test_a_training_that_diverges_says_so(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data", str(dataset), "--output", str(tmp_path / "run"), "--epochs", "9", "--learning-rate", "1e30", *STOCK]
    assert train.main(options) == 1
    assert re.search(
        r"train\.py: the loss became (nan|inf) in epoch \d, step 1 of 1; a lower --learning-rate may help; "
        r"the batch had chunks of (\w+\.\d+, ){9}\w+\.\d+ … and 2 more\n",
        capsys.readouterr().err,
    )
    assert not (tmp_path / "run" / "metrics.json").exists()


def altered(dataset: Path, folder: Path, change: str) -> Path:
    shutil.copytree(dataset, folder)
    shard = sorted(folder.glob("train-*.tfrecord"))[0]
    if change == "manifest":
        (folder / "dataset.json").unlink()
    elif change == "missing":
        shard.unlink()
    elif change == "tracks":
        (folder / read_dataset(dataset).tracks_file).write_text("")
    elif change == "spec":
        manifest = read_dataset(dataset)
        spec = dataclasses.replace(manifest.spec, n_fft=1024)
        (folder / "dataset.json").write_text(dataclasses.replace(manifest, spec=spec).to_json())
    else:
        data = bytearray(shard.read_bytes())
        data[len(data) // 2] ^= 1
        shard.write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("manifest", r"no dataset: .* has no dataset\.json; make one with: .*run_pipeline\.py --runner DirectRunner --output"),
        ("tracks", r"tracks-\w+\.jsonl was altered"),
        ("spec", r"was made with another spec than preset 'paper' has in this version"),
        ("missing", r"train-\w+-00000-of-00002\.tfrecord is missing; make it again"),
        ("flipped bit", r"train-\w+-00000-of-00002\.tfrecord was altered: its SHA-256 differs"),
    ],
)
def test_a_damaged_dataset_is_refused(
    dataset: Path, tmp_path: Path, change: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = altered(dataset, tmp_path / "dataset", change)
    assert train.main(["--data", str(folder), "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_without_data_the_command_that_makes_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ((), ("data/tfrecords",)):
        for name in folder:
            Path(name).mkdir(parents=True)
        assert train.main([]) == 2
        assert re.fullmatch(
            r"train\.py: no dataset: .*data/tfrecords.*; make one with: \S*python run_pipeline\.py --runner DirectRunner\n",
            capsys.readouterr().err,
        )


def test_a_run_never_mixes_with_another(dataset: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--data", str(dataset), "--output", str(run)]) == 2
    assert f"the output {run} exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"],
        ["--seed", "-1"],
        ["--learning-rate", "nan"],
        ["--dropout", "1"],
        ["--l1", "x"],
        ["--ema", "1"],
    ],
)
def test_unusable_options_are_status_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(options)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--bachnorm"], "unrecognized arguments: --bachnorm; did you mean --batchnorm?"),
        (["--epoch", "5"], "unrecognized arguments: --epoch 5; did you mean --epochs?"),
        (["--model", "shalow"], r"invalid choice: 'shalow' \(choose from .*\); did you mean shallow\?"),
        (["--sync-batchnorm"], "unrecognized arguments: --sync-batchnorm; did you mean --no-batchnorm?"),
    ],
)
def test_a_wrong_option_is_one_line_with_what_was_meant(
    options: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(options)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert meant in line or re.search(meant, line)


@pytest.mark.parametrize("option", [["--keep", "best"], ["--early-stopping", "3"]])
def test_without_a_validation_split_nothing_is_chosen(
    option: list[str], dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["--data", str(dataset), "--output", str(tmp_path / "run"), *option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: --keep best and --early-stopping need a validation split")
    assert "--validation-fraction" in line
    assert not (tmp_path / "run").exists()
    assert train.main(["--data", str(dataset), "--folds", "2", *option]) == 2
    assert "which folds do not have" in capsys.readouterr().err


def test_a_full_disk_is_one_line(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found out when the network is saved; and with space again the run ends."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("keras.Model.save", fail)
        assert train.main(["--data", str(dataset), "--output", str(run), "--epochs", "1", "--no-export", *STOCK]) == 1
    assert capsys.readouterr().err == f"train.py: {run}: No space left on device\n"
    assert train.main(["--resume", str(run)]) == 0
    assert (run / "report.html").is_file()
