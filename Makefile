# `make` lists what there is. Everything is installed into .venv, from requirements.lock.
.DEFAULT_GOAL := help
.PHONY: test-stores test-long help setup demo test test-runners lint docs reproduce bench bench-train bench-pipeline bench-predict bench-serving bench-robustness bench-demo lock clean

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
# The demo's training: a higher rate than the paper's and few epochs, so that it ends within minutes on two cores.
DEMO_DATA := data/demo-tfrecords
DEMO_TRAINING := --epochs 20 --learning-rate 1e-4 --batch-size 32

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make .venv and install everything that requirements.lock pins into it

$(READY): requirements.lock setup.py
	@sh scripts/make_venv.sh $(VENV)
	@touch $@

demo: $(READY)  ## Run the whole job: tracks to TFRecords, a trained network, a report and a SavedModel
	$(RUN) run_pipeline.py --runner DirectRunner --output $(DEMO_DATA) --overwrite
	$(RUN) train.py --batchnorm --data $(DEMO_DATA) $(DEMO_TRAINING)

# One more than there are cores: at times each waits for a process that it has started.
TEST_PROCESSES := $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores + 1 : 4)))

test: $(READY)  ## Run the tests
	$(RUN) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-runners: $(READY)  ## Run the pipeline on Prism and on Flink, kill parts of Flink, compare the bytes (needs Go, Java and Maven)
	$(RUN) -m tests.runners.install
	sh scripts/cut_off.sh $(RUN) -m pytest -m runners tests/runners

test-stores: $(READY)  ## Cut a run off at every request to an object store (two minutes)
	$(RUN) -m pytest -m stores --numprocesses $(TEST_PROCESSES) tests/test_publish_to_objects.py

test-long: $(READY)  ## Run what the tests prove once more, for the other networks and for more replicas
	$(RUN) -m pytest -m long --numprocesses $(TEST_PROCESSES)

lint: $(READY)  ## Check style and types: ruff, mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(READY)  ## Build the documentation as a site, build/site/index.html, with a page of all public names
	sh scripts/make_docs.sh $(VENV)/bin/zensical

# The paper, from GTZAN's folder to its tables: `make reproduce GTZAN=DIR`. Interrupted, it goes on when called again.
GTZAN = $(error make reproduce needs GTZAN=DIR, the folder of GTZAN)
REPRODUCED := runs/reproduced
RUNS := 5
EPOCHS := 200

reproduce: $(READY)  ## Run the whole of the paper on GTZAN=DIR: both networks, 5 runs of 200 epochs, tables and figures (hours)
	sh scripts/reproduce.sh $(RUN) "$(GTZAN)" $(REPRODUCED) $(RUNS) $(EPOCHS)

bench: $(READY)  ## Measure the front end on this machine
	$(RUN) -m benchmarks.front_end

bench-train: $(READY)  ## Measure training and inference, beside stock Keras layers and, where it is installed, PyTorch
	$(RUN) -m benchmarks.training
	$(RUN) -m benchmarks.input_pipeline
	$(RUN) -m benchmarks.augmentation

bench-pipeline: $(READY)  ## Measure the pipeline from 100 to 10000 tracks, beside a plain script and its floor (ten minutes, 20 GB)
	$(RUN) -m benchmarks.pipeline --output pipeline.png

bench-predict: $(READY)  ## Measure prediction: a track beside plain scripts, 200 tracks, the start (five minutes)
	$(RUN) -m benchmarks.prediction

bench-serving: $(READY)  ## Measure serving: twenty clients for ten minutes, a file of two hours (a quarter of an hour)
	$(RUN) -m benchmarks.serving

# AUDIO is the folder of the genres, TRAINED the runs' folders, which are asked about the tracks that they were tested on.
AUDIO = $(error make bench-robustness needs AUDIO=DIR and TRAINED="RUN…")
bench-robustness: $(READY)  ## Measure which decisions of TRAINED=RUNS change when a track is softer, louder, MP3, AAC (needs ffmpeg)
	$(RUN) -m benchmarks.robustness "$(AUDIO)" $(TRAINED)

bench-demo: $(READY)  ## Measure how hard the demo corpus is, over five seeds (half an hour)
	$(RUN) -m benchmarks.demo_difficulty

LOCK := $(VENV)/bin/uv pip compile setup.py --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command "make lock" --quiet

lock: $(READY)  ## Pin requirements.lock anew from setup.py, and what the workers' image has of it
	$(LOCK) --extra train --extra formats --extra dev --universal --upgrade --output-file requirements.lock
	$(LOCK) --extra gcp --extra aws --extra audio --python-platform linux --constraint requirements.lock --upgrade \
	  --output-file requirements-workers.lock

clean:  ## Remove .venv, .runners and caches; data and runs stay
	rm -rf $(VENV) .runners build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
