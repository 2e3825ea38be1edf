"""A candidate beside the champion, live and over the log."""
