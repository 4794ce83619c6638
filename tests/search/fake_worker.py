"""A worker whose trainings are fake ones."""

from keras_rnnlm.search import tune_trial, tune_worker

MODULE = "tests.search.fake_worker"


def main() -> None:
    tune_trial.MODULE = "tests.search.fake_trial"
    tune_worker.main()


if __name__ == "__main__":
    main()
