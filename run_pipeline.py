"""The pipeline's command line, for a checkout; where the project is installed it is `gtzan-genres pipeline`."""

import sys

from beam_pipeline.run_pipeline import run

if __name__ == "__main__":
    run(sys.argv[1:])
