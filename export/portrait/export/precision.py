"""The number formats of a release, apart from what needs torch: the command line takes its values from here."""

from enum import StrEnum


class Precision(StrEnum):
    """Number format of a graph's weights and products; inputs and outputs are float32 in both."""

    FP32 = "fp32"
    FP16 = "fp16"
    """For GPUs."""
