"""Cleaning of a log's events on Spark: Spark moves rows between machines, DuckDB judges them in its tasks."""
