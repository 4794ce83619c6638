"""Generation: text that goes on from a prompt."""
