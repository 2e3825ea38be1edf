"""The champion of a feed, the model that scores it: putting one in, taking it back, and what was before."""
