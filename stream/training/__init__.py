"""Training beside the engine: jobs in a queue, one process at a time, and what became of each."""
