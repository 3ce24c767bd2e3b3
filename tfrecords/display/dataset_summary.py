"""What a dataset holds, in numbers: tracks and records by split and genre, its spec and statistics."""

from collections import Counter
from dataclasses import dataclass
from typing import Self

from tfrecords.dataset.manifest import Manifest
from tfrecords.dataset.tracks import read_tracks, starts_by_deformation
from tfrecords.display.text_table import columns
from tfrecords.front_end.augmentation import AUGMENTED_SPLIT, Augmentation
from tfrecords.front_end.log_mel_spec import LogMelSpec
from tfrecords.places import Place

STATISTICS = ("mean", "std", "min", "max")


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """The numbers of a dataset.

    Attributes:
        manifest: The dataset's.
        n_tracks: Tracks by (split, genre).
        n_records: Records by (split, genre).
    """

    manifest: Manifest
    n_tracks: Counter[tuple[str, str]]
    n_records: Counter[tuple[str, str]]

    @classmethod
    def of(cls, folder: Place, manifest: Manifest) -> Self:
        """Counts the tracks that are listed.

        Raises:
            DatasetError: If the list cannot be read.
        """
        n_tracks: Counter[tuple[str, str]] = Counter()
        n_records: Counter[tuple[str, str]] = Counter()
        for track in read_tracks(folder):
            key = (track["split"], track["genre"])
            n_tracks[key] += 1
            n_records[key] += sum(map(len, starts_by_deformation(track).values()))
        return cls(manifest=manifest, n_tracks=n_tracks, n_records=n_records)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """How the dataset was made, as names and values."""
        manifest = self.manifest
        return [
            ("preset", manifest.preset),
            *_spec_facts(manifest.spec),
            ("chunks", f"{manifest.chunks_drawn} of each track"),
            *([("augmentation", _augmentation_fact(manifest.augmentation))] if manifest.augmentation else []),
            ("split", manifest.split_scheme),
            ("seed", str(manifest.seed)),
            ("fingerprint", manifest.fingerprint[:16]),
        ]

    @property
    def statistics(self) -> list[tuple[str, list[str]]]:
        """Per split the values named in STATISTICS; dashes for a split without records."""
        return [
            (name, [f"{split.statistics[key]:.2f}" if split.statistics else "–" for key in STATISTICS])
            for name, split in self.manifest.splits.items()
        ]

    @property
    def counts(self) -> list[tuple[str, list[tuple[int, int]]]]:
        """Per genre, and last for all, the numbers of tracks and records in each split."""
        splits, genres = self.manifest.splits, self.manifest.genres
        rows = [(genre, [(self.n_tracks[split, genre], self.n_records[split, genre]) for split in splits]) for genre in genres]
        totals = [(sum(row[index][0] for _, row in rows), sum(row[index][1] for _, row in rows)) for index in range(len(splits))]
        return [*rows, ("all", totals)]

    def to_text(self) -> str:
        """Tables for the screen."""
        splits = list(self.manifest.splits)
        counts = [["", *(f"{split} {unit}" for split in splits for unit in ("tracks", "records"))]]
        counts += [[genre, *(str(number) for pair in row for number in pair)] for genre, row in self.counts]
        statistics = [["log-mel", *STATISTICS], *([name, *values] for name, values in self.statistics)]
        facts = [f"{name:16}{value}" for name, value in self.facts]
        return "\n".join([self.manifest.corpus.title, "", *facts, "", *columns(counts), "", *columns(statistics)])


def _augmentation_fact(augmentation: Augmentation) -> str:
    names = ", ".join(augmentation.names)
    return (
        f"{augmentation.name}: of each {AUGMENTED_SPLIT} track {augmentation.n_chunks} chunks more, "
        f"{augmentation.chunks_per_deformation} each of {names}"
    )


def _spec_facts(spec: LogMelSpec) -> list[tuple[str, str]]:
    seconds, step_seconds = spec.chunk_samples / spec.sample_rate, spec.chunk_step / spec.sample_rate
    repeated = (
        f", of which the last {spec.n_frames - spec.n_real_frames} repeat one" if spec.n_real_frames < spec.n_frames else ""
    )
    logarithm = "ln" if spec.log_base == "e" else "log10"
    return [
        ("log-mel", f"{spec.n_mels} bands × {spec.n_frames} frames{repeated}"),
        (
            "chunk",
            f"{seconds:.2f} s ({spec.chunk_samples} samples at {spec.sample_rate} Hz), candidates {step_seconds:.2f} s apart",
        ),
        (
            "spectrum",
            f"Hann window of {spec.win_length} samples, FFT of {spec.n_fft}, hop {spec.hop_length}"
            f"{', centred' if spec.centered else ''}, |x|^{spec.power:g}",
        ),
        (
            "mel bands",
            f"{spec.mel_scale} scale, {spec.fmin_hz:g} to {spec.fmax_hz:g} Hz{', area-normalised' if spec.mel_norm else ''}",
        ),
        ("logarithm", f"{logarithm}(x + {spec.log_offset:g}), samples × {spec.amplitude_scale:g}"),
        (
            "standardization",
            spec.standardization.replace("_", " ") + (", by the model" if spec.standardization != "none" else ""),
        ),
    ]
