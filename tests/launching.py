"""Starts a command as two processes that learn together, as a user does it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def launch_two(*command: str, timeout: float) -> None:
    """Run a script or `-m module`, with its arguments, under `accelerate launch` on the CPU."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    # Accelerate's own --cpu starts one process only; --multi_gpu is the flag that starts several
    options = f"--multi_gpu --num_processes 2 --num_machines 1 --main_process_port {port}"
    usual = f"{options} --mixed_precision no --dynamo_backend no".split()
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *usual, *command],
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-3000:]
