"""Training: one loop on top of `fit`, its schedules, checkpoints and run folder."""
