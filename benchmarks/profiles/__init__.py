"""Calibration of the fields of a profile."""
