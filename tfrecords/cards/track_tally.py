"""What the derived files say of the list of tracks, counted line by line."""

from collections import Counter
from dataclasses import dataclass, field

from tfrecords.dataset.gtzan import TRACK_IDS, is_gtzan
from tfrecords.dataset.manifest import Manifest
from tfrecords.dataset.tracks import TrackLine, starts_by_deformation


@dataclass(kw_only=True)
class TrackTally:
    """The tracks so far.

    Attributes:
        n_tracks: How many there are, by split and genre.
        n_records: Likewise of their records.
        knows_tracks: Whether all of them have ids of GTZAN's tracks.
    """

    n_tracks: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_records: Counter[tuple[str, str]] = field(default_factory=Counter)
    knows_tracks: bool = True

    def add(self, track: TrackLine) -> None:
        """Counts a track."""
        place = track["split"], track["genre"]
        self.n_tracks[place] += 1
        self.n_records[place] += sum(map(len, starts_by_deformation(track).values()))
        self.knows_tracks &= track["track_id"] in TRACK_IDS

    def is_gtzan(self, manifest: Manifest) -> bool:
        """Whether they are GTZAN's."""
        return is_gtzan(manifest.genres, synthetic=manifest.corpus.synthetic, knows_tracks=self.knows_tracks)
