"""Training a feed's model again, and what was decided about it."""
