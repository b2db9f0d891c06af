"""What can go wrong in training for a reason that its caller can mend."""


class TrainingError(Exception):
    """The data, the run or an option does not allow what was asked; the message says what to change."""
