"""Pictures of runs, comparisons and searches that are on disk; see `docs/plots.md`."""
