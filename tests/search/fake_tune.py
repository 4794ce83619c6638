"""The command line with fake trainings: `python -m tests.search.fake_tune tune ...`."""

import sys

from keras_rnnlm.cli import main
from keras_rnnlm.search import tune_trial, tune_worker

if __name__ == "__main__":
    tune_trial.MODULE = "tests.search.fake_trial"
    tune_worker.MODULE = "tests.search.fake_worker"
    sys.exit(main.run(sys.argv[1:]))
