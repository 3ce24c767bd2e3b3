"""Audio files that PyAV writes: AAC, ALAC, Opus and others, in MP4, Matroska, ADTS, ASF and WavPack."""

import io
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

# Container, codec, and the sample rate that a file is written at.
FORMATS = (
    ("ipod", "aac", 22050),
    ("mp4", "aac", 44100),
    ("mp4", "alac", 44100),
    ("adts", "aac", 22050),
    ("webm", "libopus", 48000),
    ("matroska", "aac", 32000),
    ("asf", "wmav2", 22050),
    ("wv", "wavpack", 44100),
)


def av_file(samples: NDArray[np.float32], *, container: str, codec: str, sample_rate: int) -> bytes:
    """A file of samples (n_samples, n_channels) in ±1; WavPack has 16 bits."""
    file = io.BytesIO()
    n_channels = samples.shape[1]
    layout = {1: "mono", 2: "stereo"}[n_channels]
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sample_rate, layout=layout)
        if codec == "wmav2":
            stream.bit_rate = 64_000 * n_channels  # it has no default
        if codec == "wavpack":
            stream.format = "s16p"  # instead of eight bits
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1).astype(np.float32), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, Fraction(1, sample_rate)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    return file.getvalue()


def video_file() -> bytes:
    """An MP4 of a picture, without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for packet in (*stream.encode(av.VideoFrame(16, 16, "yuv420p")), *stream.encode(None)):
            output.mux(packet)
    return file.getvalue()
