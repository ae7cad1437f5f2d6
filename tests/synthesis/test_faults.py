"""Under fire: spoilt answers and SIGKILL, and at the end every prompt once.

`python -m tests.synthesis.fault_runs FOLDER` prints what became of a run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("number", "faults", "kills"),
    [
        pytest.param(400, 200, 10, marks=pytest.mark.slow),
        pytest.param(2500, 1000, 50, marks=pytest.mark.exhaustive),
    ],
)
def test_faults_and_kills_lose_nothing_and_double_nothing(tmp_path, number, faults, kills):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.synthesis.fault_runs",
            str(tmp_path),
            "--prompts",
            str(number),
            "--faults",
            str(faults),
            "--kills",
            str(kills),
        ],
        env=os.environ | QUIET,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert sum(result["injected"].values()) == faults and len(result["injected"]) == 11
    assert result["killed"] == kills
    assert result["lost"] == result["twice"] == result["wrong"] == result["strangers"] == 0
    assert result["answered"] + sum(result["rejected"].values()) == number
    assert {"empty", "truncated", "refused"} <= result["rejected"].keys()
    assert result["asked after the end"] == 0 and result["same file"]
    # what was under way at a kill is asked again, and what a fault has spoilt; nothing else
    assert result["asked of the server"] <= number + kills * 16 + faults
