"""The benchmark for GPUs: its faults, and the text of its committed dry run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import tiny_data

from benchmarks.common.results import RESULTS
from benchmarks.gpu.cli import list_faults
from benchmarks.gpu.graphs import GraphComparison
from benchmarks.gpu.training_step import Size, measure_steps
from portrait.training.devices import CPU

ON_GPU = GraphComparison(
    "ranker", ["CUDAExecutionProvider", "CPUExecutionProvider"], [{"kind": "KIND_GPU"}], 1e-4, 1e-2
)
ON_CPU = replace(ON_GPU, providers=["CPUExecutionProvider"], instances=[{"kind": "KIND_CPU"}])


@pytest.mark.parametrize(
    ("compared", "devices", "embedded", "told"),
    [
        (ON_GPU, ["a GPU"], True, []),
        (ON_CPU, [], True, []),
        (ON_CPU, ["a GPU"], True, ["ranker has no instance on a GPU", "a session of ranker runs on the CPU"]),
        (replace(ON_CPU, instances=ON_GPU.instances), ["a GPU"], False, []),
        (replace(ON_GPU, difference=0.5), ["a GPU"], True, ["ranker differs by 5.0e-01, over 1e-02"]),
        (replace(ON_CPU, difference=float("nan")), [], True, ["ranker differs by nan, over 1e-02"]),
    ],
)
def test_a_fault_is_another_answer_or_a_gpu_that_takes_no_part(
    compared: GraphComparison, devices: list[str], embedded: bool, told: list[str]
) -> None:
    assert list_faults([compared], devices, embedded) == told


def test_the_committed_run_without_a_gpu_says_so() -> None:
    result = json.loads((RESULTS / "gpu-dry-run.json").read_text(encoding="utf-8"))
    assert (result["mode"], result["gpus"], result["faults"]) == ("cpu", [], [])
    assert len(result["caveats"]) == 2
    assert all(result[key] for key in ("command", "machine", "date", "commit"))


@pytest.mark.slow
def test_training_steps_are_measured_in_each_number_format(tmp_path: Path) -> None:
    bert = tiny_data.write_bert(tmp_path / "bert")
    rates = measure_steps(CPU, Size(events=20_000, batch_events=256, texts=8, steps=2), str(bert))
    assert [(rate.precision, rate.gradient_checkpointing_texts) for rate in rates] == [
        ("fp32", 0), ("bf16", 0), ("bf16", 1),
    ]  # fmt: skip
    assert all(min(rate.events_per_second, rate.texts_per_second, rate.peak_mib) > 0 for rate in rates)
