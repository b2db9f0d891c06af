"""Choices that a caller makes by name. The import is cheap, since the command line takes its values from here."""

from enum import StrEnum

DEFAULT_BASE_MODEL = "all-MiniLM-L6-v2"


class FineTuning(StrEnum):
    """Fine-tuning methods: the weights of the BERT that are trained. The projection behind it is always trained."""

    FULL = "full"
    """All of them."""
    LORA = "lora"
    """Low-rank updates of the attention's projections (Hu et al. 2022)."""
    ADALORA = "adalora"
    """The same, with a budget of ranks that goes to the layers where it helps most (Zhang et al. 2023)."""
    IA3 = "ia3"
    """Adapters that rescale keys, values and feed-forward activations (Liu et al. 2022)."""
    PREFIX = "prefix"
    """Keys and values before each layer's own (Li and Liang 2021). Not for models without a cache of them."""
    FROZEN = "frozen"
    """None."""
    AUTO = "auto"
    """All of them where their adaptation to the shop ranks validation targets better, else none."""


class PrepareEngine(StrEnum):
    """Engines that clean the events of a log."""

    DUCKDB = "duckdb"
    """In this process; what memory does not hold is on the disk."""
    SPARK = "spark"
    """On the machines of a Spark cluster, or the cores of this one; reads the source `events` alone."""


class Preset(StrEnum):
    """Presets of effort."""

    QUICK = "quick"
    """Minutes on two cores."""
    BEST = "best"
    """More subspaces, then a refit on everything but the test."""


class Demographic(StrEnum):
    """Attributes that shoppers may declare: columns of `shoppers.parquet`."""

    AGE_BAND = "age_band"
    GENDER = "gender"
    REGION = "region"


class Split(StrEnum):
    """Protocols by which events are held out."""

    LOO = "loo"
    """Leave-one-out: of each shopper with three events or more, the last is the test, the one before validation."""
    TIME = "time"
    """Global time: everything after one moment is the test, as in production; validation before it likewise."""


class TrainingPrecision(StrEnum):
    """Number formats of the matrix products of a training step. Weights, loss and optimiser are float32 in all."""

    AUTO = "auto"
    """bfloat16 where the hardware has it: in the whole step on a GPU, in the BERT alone on a CPU with AMX."""
    FP32 = "fp32"
    BF16 = "bf16"
    """bfloat16 in the whole step, emulated where the hardware lacks it."""


class TrackerKind(StrEnum):
    """Experiment trackers that log a run beside TensorBoard."""

    MLFLOW = "mlflow"
    """MLflow, in a local database by default."""
    WANDB = "wandb"
    """Weights & Biases, offline by default."""
