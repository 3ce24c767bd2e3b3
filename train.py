"""The training's command line, for a checkout; where the project is installed it is `gtzan-genres train`."""

import sys

from keras_model.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
