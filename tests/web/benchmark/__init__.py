"""Tests of the speed measurements: that they measure, not how fast this machine is."""
