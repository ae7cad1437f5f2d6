"""Ask the peers again and rewrite the golden values: `make oracles`.

Runs in an environment of its own (requirements.txt). The same versions give the same bytes.
"""

import importlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from tests.losses.golden.case import Case, line

HERE = Path(__file__).parent
PEERS = {
    "torchdistill": "torchdistill",
    "trl": "trl",
    "liger": "liger-kernel",
    "sentence_transformers": "sentence-transformers",
    "formula": "",
}
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def of_a_package(case: Case, peer: str) -> dict:
    """Ask a package, and take the gradient for the student by autograd."""
    x = {}
    for name, array in case.arrays().items():
        tensor = torch.from_numpy(array)
        x[name] = tensor.to(DTYPES[case.dtype]) if tensor.is_floating_point() else tensor
    student = x["student"].requires_grad_()
    try:
        value = case.call(x)
    except Exception as error:
        if not case.wrong:
            raise
        return line(case, peer, f"{type(error).__name__}: {error}", None)
    if not isinstance(value, torch.Tensor) or case.wrong:
        return line(case, peer, float(torch.as_tensor(value).detach()), None)
    if not case.gradient:
        return line(case, peer, value.item(), None)
    (gradient,) = torch.autograd.grad(value, student)
    return line(case, peer, value.item(), gradient.double().norm().item())


def of_a_formula(case: Case) -> dict:
    """Evaluate a formula, and take the gradient for the student by central differences."""
    x = case.arrays()
    value = float(case.call(x))
    if case.wrong:
        return line(case, "re-derived", value, None)
    student, step, squares = x["student"], 1e-5, 0.0
    for i in np.ndindex(student.shape):
        ends = []
        for sign in (1, -1):
            moved = student.copy()
            moved[i] += sign * step
            ends.append(float(case.call(x | {"student": moved})))
        squares += ((ends[0] - ends[1]) / (2 * step)) ** 2
    result = line(case, "re-derived", value, squares**0.5)
    result["gradient"] = float(f"{result['gradient']:.6g}")  # what differences are good for
    return result


def main() -> None:
    torch.set_num_threads(1)
    for name, package in PEERS.items():
        cases = importlib.import_module(f"tests.losses.golden.{name}_cases").CASES
        if package:
            peer = f"{package} {version(package)}"
            lines = [of_a_package(case, peer) for case in cases]
        else:
            lines = [of_a_formula(case) for case in cases]
        target, partial = HERE / f"{name}.json", HERE / f".{name}.json.partial"
        each = [json.dumps(result, sort_keys=True, allow_nan=False) for result in lines]
        text = "[\n" + ",\n".join(each) + "\n]\n"  # a case a line
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
        print(f"{len(lines):3} cases of {package or 'documented formulas'}: {target.name}")


if __name__ == "__main__":
    sys.exit(main())
