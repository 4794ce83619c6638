"""`python -m keras_rnnlm` is the command `rnnlm`."""

from keras_rnnlm.cli.main import main

if __name__ == "__main__":
    main()
