"""The number formats of a release, apart from what needs torch: the command line takes its values from here."""

from enum import StrEnum

LARGE = "text_encoder"
"""The graph whose size and products cost something; the other two are a few hundred kilobytes."""


class Precision(StrEnum):
    """Number format of weights and products; inputs and outputs of every graph are float32 in all of them."""

    FP32 = "fp32"
    FP16 = "fp16"
    """All graphs, for GPUs."""
    BF16 = "bf16"
    """Weights of the text encoder, in half the space; products too where the runtime and the CPU can (OpenVINO with
    AVX-512 BF16 or AMX, which does so with fp32 weights as well), else in float32."""
    INT8 = "int8"
    """Weights of the text encoder, by channel, and its products, whose other side is quantised as it comes
    (dynamically). For CPUs without bfloat16."""

    def of(self, graph: str) -> "Precision":
        """The format of one of the release's graphs: what saves time or space in the large one only, it alone has."""
        return self if graph == LARGE or self is Precision.FP16 else Precision.FP32
