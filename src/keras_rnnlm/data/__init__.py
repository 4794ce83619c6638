"""From text files to batches of token ids: reading, tokenizing, storing, streaming."""
