"""Networks over token ids, their metrics, and the folder they are kept in."""
