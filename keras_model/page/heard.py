"""A song as a network heard it: the genre of each chunk, the spectrogram that they are cut from, and each chunk's sound."""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from keras_model.prediction.blocks import LogMelBlock, classify, log_mel_blocks
from keras_model.prediction.files import AudioFile
from keras_model.prediction.model import Predictor
from keras_model.prediction.track import Prediction
from tfrecords.audio import UnusableAudioError
from tfrecords.front_end.log_mel_spec import LogMelSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A song as a network heard it."""

    song: AudioFile
    spec: LogMelSpec
    prediction: Prediction
    spectrogram: NDArray[np.float32]  # the chunks' log-mels in a row, without what they share, (n_frames, n_mels)

    @property
    def end_seconds(self) -> float:
        """Where the last chunk ends, and the spectrogram with it."""
        return self.stretch(self.prediction.n_chunks - 1)[1]

    @property
    def surest(self) -> int:
        """The chunk that has the highest probability of the song's genre."""
        return int(self.prediction.chunk_probabilities[:, self.prediction.genres.index(self.prediction.genre)].argmax())

    def stretch(self, chunk: int) -> tuple[float, float]:
        """Where a chunk begins and ends, in seconds."""
        begin = float(self.prediction.chunk_start_seconds[chunk])
        return begin, begin + self.spec.min_seconds(1)

    def chunk_at(self, seconds: float) -> int:
        """The chunk whose middle is nearest."""
        middles = self.prediction.chunk_start_seconds + self.spec.min_seconds(1) / 2
        return int(np.abs(middles - seconds).argmin())

    def wav(self, chunk: int) -> bytes:
        """What of the song a chunk is, as a WAV file at the spec's sample rate; decoded anew.

        Raises:
            UnusableAudioError: If it has changed, and no longer has the chunk.
            OSError: If the song is no longer there.
        """
        with self.song.opened() as file:
            blocks = log_mel_blocks(file, spec=self.spec, wanted=np.array([chunk]))
            block = next((block for block in blocks if len(block.starts)), None)
        if block is None:
            raise UnusableAudioError("changed", "has changed since it was heard")
        first = block.starts[0] - block.first
        wav = io.BytesIO()
        samples = block.waveform[first : first + self.spec.chunk_samples]
        soundfile.write(wav, samples, self.spec.sample_rate, format="WAV", subtype="PCM_16")
        return wav.getvalue()


def hear(song: AudioFile, predictor: Predictor) -> Heard:
    """Classifies a song by all of its chunks, and keeps what they look like.

    Raises:
        UnusableAudioError: If it does not decode, is shorter than one chunk or silent, or the network is damaged.
        OSError: If it cannot be read.
    """
    spec = predictor.front_end.spec
    # Of each chunk its middle, as long as the next one begins later: frames at a chunk's ends look into padding.
    n_frames = min(max(1, round(spec.chunk_step / spec.hop_length)), spec.n_kept_frames)
    begin = (spec.n_kept_frames - n_frames) // 2
    middles: list[NDArray[np.float32]] = []
    ends: list[NDArray[np.float32]] = []  # what is before the first and after the last middle of each block

    def probabilities(block: LogMelBlock) -> NDArray[np.float32]:
        log_mels = block.log_mels
        frames = log_mels[:, :, : spec.n_kept_frames].transpose(0, 2, 1)  # (n_chunks, n_frames, n_mels)
        middles.append(frames[:, begin : begin + n_frames].reshape(-1, spec.n_mels))
        ends.extend((frames[0, :begin].copy(), frames[-1, begin + n_frames :].copy()))
        return predictor.probabilities(log_mels)

    with song.opened() as file:
        prediction = classify(file, probabilities, front_end=predictor.front_end)
    return Heard(song=song, spec=spec, prediction=prediction, spectrogram=np.concatenate([ends[0], *middles, ends[-1]]))
