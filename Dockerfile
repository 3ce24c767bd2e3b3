# The image of remote workers on Dataflow, or on Flink and Spark with Docker: Beam's own image, and this project with the versions that
# the command has. See docs/runners.md.
FROM apache/beam_python3.11_sdk:2.77.0
WORKDIR /opt/gtzan-genres
COPY requirements-workers.lock .
RUN python -m pip install --no-cache-dir --require-hashes -r requirements-workers.lock
COPY . .
RUN python -m pip install --no-cache-dir --no-deps .
