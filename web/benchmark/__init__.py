"""Speed on this machine: every figure beside what a user would otherwise run, measured in the same run."""
