"""The commands of the console script: one module each, imported when it is called."""
