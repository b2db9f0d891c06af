"""Moves a state from one store to another: everything that it holds, resumably, and compared at the end."""
