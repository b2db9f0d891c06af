"""What a caller chooses by name. Importing this costs nothing, so that the command line takes its values from here."""

from enum import StrEnum

DEFAULT_BASE_MODEL = "all-MiniLM-L6-v2"


class FineTuning(StrEnum):
    """Which weights of the text encoder's BERT are trained. Its projection always is."""

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


class Preset(StrEnum):
    """How much work a run may cost."""

    QUICK = "quick"
    """Minutes on two cores."""
    BEST = "best"
    """More subspaces, then a refit on everything but the test."""


class Demographic(StrEnum):
    """What shoppers may declare about themselves: columns of `shoppers.parquet`."""

    AGE_BAND = "age_band"
    GENDER = "gender"
    REGION = "region"


class Split(StrEnum):
    """How events are held out."""

    LOO = "loo"
    """Leave-one-out: of each shopper with three events or more, the last is the test, the one before validation."""
    TIME = "time"
    """Global time: everything after one moment is the test, as in production; validation before it likewise."""


class TrackerKind(StrEnum):
    """Where the course of a run is told beside TensorBoard."""

    MLFLOW = "mlflow"
    """MLflow, in a local database by default."""
    WANDB = "wandb"
    """Weights & Biases, offline by default."""
