"""What every language model here is towards training, scoring and generation."""

from abc import abstractmethod
from typing import Any

import numpy as np
from keras import ops

from keras_rnnlm.data.vectors import WordVectors
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.layers.kernels.one_pass import Outcome
from keras_rnnlm.layers.mixture import MixtureOutput
from keras_rnnlm.layers.word_ranks import WordRanks
from keras_rnnlm.models.carried_state import State
from keras_rnnlm.models.stream_training import StreamTraining


class CausalLM(StreamTraining):
    """A network that reads tokens from left to right and predicts the next one.

    Whatever stands between the embedding and the output layer is the body: a class
    derived from this one says how it runs (`hidden`), from which state it begins
    (`initial_state`) and which weights it has (`body_weights`). A state is a value, per
    layer a tuple of float32 arrays (batch, ...), and a row of zeros is one that begins.

    Called with integer ids (batch, time) the network starts every row from a zero
    state. Called with `{"tokens": ids, "carry": (batch,)}`, the form in which a
    stream's batches come, each row whose `carry` is 1 goes on from the state in which
    the same row of the previous batch ended. The result is float32 logits (batch,
    time, vocabulary).

    Attributes:
        vocabulary_size: Number of token ids.
        seed: Of the initial weights and of dropout.
        embedding: The layer that holds the word vectors.
        output_layer: One of those that `models.output_layers` makes.
        carried: Slots of the state that `fit` carries.
    """

    vocabulary_size: int
    seed: int
    embedding: Any
    output_layer: Any
    _arguments: dict[str, Any]

    @abstractmethod
    def hidden(
        self, tokens: Any, state: State, training: bool = False
    ) -> tuple[Any, State]:
        """Run the body.

        Args:
            tokens: Integer ids (batch, time).
            state: As from `initial_state` or an earlier call.
            training: Whether dropout is active.

        Returns:
            Hidden vectors (batch, time, width) and the new state.
        """

    @abstractmethod
    def hidden_of(self, vectors: Any, state: State) -> tuple[Any, State]:
        """Run the body on word vectors of any making, outside training.

        `hidden(tokens, state)` is `hidden_of(embedding(tokens), state)`.

        Args:
            vectors: (batch, time, embedding).
            state: As from `initial_state` or an earlier call.
        """

    @abstractmethod
    def body_weights(self) -> dict[str, Any]:
        """Return the trained variables of the body by stable name, in fixed order."""

    def penalised(
        self, tokens: Any, state: State, weights: Any
    ) -> tuple[Any, State, Any]:
        """Run the body in training.

        Args:
            tokens: Integer ids (batch, time).
            state: As from `initial_state` or an earlier call.
            weights: (batch, time): of each token in the loss; all one if None.

        Returns:
            Hidden vectors, the new state, and what is added to the loss or None.
        """
        return *self.hidden(tokens, state, training=True), None

    def planned_loops(self) -> list[str]:
        """Which loop over time each layer will run; empty where there is no loop."""
        return []

    def loops(self) -> list[str | None]:
        """Which loop over time each layer has run; empty where there is no loop."""
        return []

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return float32 logits (batch, time, vocabulary).

        For a dict with `targets` and `weights` (batch, time) instead what a pass over
        them found: `loss`, and `nats` and `correct` (batch, time); in training beside
        them the `penalty`, if there is any. Without targets it goes to `add_loss`.
        """
        training = bool(training)
        given = inputs if isinstance(inputs, dict) else {"tokens": inputs}
        tokens, carry = given["tokens"], given.get("carry")
        state = (
            self.initial_state(ops.shape(tokens)[0])
            if carry is None
            else self.carried.read(carry, training)
        )
        penalty = None
        if training:
            hidden, state, penalty = self.penalised(tokens, state, given.get("weights"))
        else:
            hidden, state = self.hidden(tokens, state)
        if carry is not None:
            self.carried.write(state, carry, training)
        if "targets" not in given:
            if penalty is not None:
                self.add_loss(penalty)
            return self.logits(hidden)
        targets, weights = given["targets"], given["weights"]
        found = self.cross_entropy(hidden, targets, weights, training)._asdict()
        return found if penalty is None else {**found, "penalty": penalty}

    def set_vectors(self, vectors: WordVectors | Any, frozen: bool = False) -> None:
        """Take pretrained word vectors as the embedding matrix.

        Args:
            vectors: Of `data.vectors.read_vectors`, or a matrix (vocabulary, width).
                What the former lack is drawn from the network's seed.
            frozen: Whether training leaves them as they are: see `freeze_vectors`.

        Raises:
            ConfigError: The matrix is of another shape.
        """
        given = isinstance(vectors, WordVectors)
        matrix = vectors.matrix(self.seed) if given else np.asarray(vectors, "float32")
        variable = self.embedding.embeddings
        if matrix.shape != tuple(variable.shape):
            raise ConfigError(
                f"Expected word vectors of shape {tuple(variable.shape)} (vocabulary, "
                f"width), received {matrix.shape}. Make the network with their width: "
                "embedding, or vector_width for a projection to the embedding."
            )
        variable.assign(matrix)
        self.freeze_vectors(frozen)

    def freeze_vectors(self, frozen: bool = True) -> None:
        """Leave the word vectors as they are in training, or train them again.

        With tied weights they are the output matrix as well, which is then frozen too.
        Compile the network afterwards: an optimizer knows the variables it was built
        for.

        Args:
            frozen: Which of both.
        """
        self.embedding.embeddings.trainable = not frozen
        self.train_function = None  # the compiled step knows the old variables

    def rank_words(self, counts: Any) -> None:
        """Tell an `adaptive` or `sampled` output how often each word comes.

        Without it lower ids are taken for more frequent words. Call it before training:
        it changes what the weights mean, and is kept with them.

        Args:
            counts: (vocabulary,), of the training text; a `full` output needs none.
        """
        if isinstance(self.output_layer, WordRanks):
            self.output_layer.rank_words(np.asarray(counts))

    def logits(self, hidden: Any, training: bool = False) -> Any:
        """Return float32 logits (batch, time, vocabulary) of hidden vectors.

        Those of an `adaptive` output or a `mixture` are log-probabilities.

        Args:
            hidden: (batch, time, width).
            training: Whether a mixture drops of its latent vectors, as in training.
        """
        if training and isinstance(self.output_layer, MixtureOutput):
            return self.output_layer(hidden, *self._matrix(), training=True)
        return self.output_layer(hidden, *self._matrix())

    def log_probabilities(self, hidden: Any) -> Any:
        """Return natural log-probabilities (batch, time, vocabulary) in float32."""
        return self.output_layer.log_probabilities(hidden, *self._matrix())

    def cross_entropy(
        self, hidden: Any, targets: Any, weights: Any = None, training: bool = False
    ) -> Outcome:
        """Compare hidden vectors with targets, without all logits in memory.

        Args:
            hidden: (batch, time, width).
            targets: Integer ids (batch, time).
            weights: (batch, time): of each token in the loss; all one if absent.
            training: Whether the loss will be differentiated.
        """
        if weights is None:
            weights = ops.ones(ops.shape(targets), "float32")
        matrix = self._matrix()[0] if self.output_layer.tied else None
        found: Outcome = self.output_layer.cross_entropy(
            hidden, targets, weights, matrix, training
        )
        return found

    def _matrix(self) -> tuple[Any, ...]:
        """The embedding matrix, if the output layer is tied to it."""
        return (self.embedding.embeddings,) if self.output_layer.tied else ()

    def step(self, tokens: Any, state: State) -> tuple[Any, State]:
        """Predict what follows: the one call on which all inference stands.

        Args:
            tokens: Integer ids (batch,) or (batch, time).
            state: As from `initial_state` or an earlier call; any row may be zeroed
                by itself.

        Returns:
            Natural log-probabilities of the next token, float32, (batch, vocabulary)
            or (batch, time, vocabulary), and the state after the last token.
        """
        tokens = ops.convert_to_tensor(tokens, "int32")
        one = len(tokens.shape) == 1
        hidden, state = self.hidden(
            ops.expand_dims(tokens, 1) if one else tokens, state
        )
        log_probabilities = self.log_probabilities(hidden)
        return (log_probabilities[:, 0] if one else log_probabilities), state

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        # The policy by name: Keras's own serialization imports TensorFlow if it can.
        return {**self._arguments, "dtype": self.dtype_policy.name, "name": self.name}
