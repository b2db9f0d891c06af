"""Files of docs/tour.md."""
