"""Telemetry of the runtimes: nothing is reported to their makers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portrait.server.triton.installation import environment, find

_NAME = "ORT_DISABLE_TELEMETRY"


def test_models_run_without_reports_unless_the_operator_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_NAME)
    assert environment(find())[_NAME] == "1"
    monkeypatch.setenv(_NAME, "0")
    assert environment(find())[_NAME] == "0"


@pytest.mark.slow
def test_an_export_makes_no_reports() -> None:
    program = f"import os, portrait.export.parity; print(os.environ['{_NAME}'])"
    others = {name: value for name, value in os.environ.items() if name != _NAME}
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, encoding="utf-8", env=others
    )
    assert done.stdout == "1\n"


def test_openvino_is_imported_without_its_reporter() -> None:
    source = Path(environment.__code__.co_filename).parent / "backends" / "onnxruntime" / "model.py"
    program = (
        "import sys, types; sys.modules['triton_python_backend_utils'] = types.ModuleType('pb')\n"
        f"source = open({str(source)!r}, encoding='utf-8').read()\n"
        "model = {'__name__': 'model'}; exec(source, model)\n"
        "try: model['_openvino']('missing.onnx', {}, [])\n"
        "except Exception: pass\n"
        "import openvino.tools.ovc.telemetry_utils as used; print(used.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, encoding="utf-8")
    assert done.stdout == "openvino.tools.ovc.telemetry_stub\n"
