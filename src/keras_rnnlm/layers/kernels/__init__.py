"""The loops behind the recurrent layers, and the loss of the output layer."""
