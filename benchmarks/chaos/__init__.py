"""Faults at random under mixed load: nothing accepted is lost, nothing hangs, and health tells the truth."""
