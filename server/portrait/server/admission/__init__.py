"""Admission: how much work is taken on at one time, whose, and what is refused at once. It knows no transport."""
