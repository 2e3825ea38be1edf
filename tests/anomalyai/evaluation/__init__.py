"""Tests of the figures that an evaluation is made of."""
