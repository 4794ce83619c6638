"""A worker whose trainings are fake ones; `FAKE_GRACE` is its patience in seconds."""

import os

from keras_rnnlm.search import tune_trial, tune_worker

MODULE = "tests.search.fake_worker"


def main() -> None:
    tune_trial.MODULE = "tests.search.fake_trial"
    tune_worker.GRACE = float(os.environ.get("FAKE_GRACE", tune_worker.GRACE))
    tune_worker.main()


if __name__ == "__main__":
    main()
