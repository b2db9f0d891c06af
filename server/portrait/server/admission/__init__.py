"""Admission control: limits the work that runs at the same time, divides it among callers, refuses the rest at once.

It knows no transport.
"""
