"""`distill-lab export DIR --to FORM`: a student as ONNX, as a graph of torch, in 8 bits."""

import argparse
import sys
from typing import Any

FORMS = ("onnx", "torch-export", "int8")
ABOUT = """Write a student beside its weights in another form, and check what that form answers.

  onnx          model.onnx, float32: for onnxruntime, TensorRT, OpenVINO, the browser
  torch-export  model.pt2: for torch alone, without the model's Python code
  int8          model.int8.onnx: its matrices in whole numbers of 8 bits, a quarter of the size

Batches and lengths stay free. A form whose answers are too far from the student's is not kept.
It needs: pip install "distill-lab[export]"
"""


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "export",
        help="write a student as ONNX, as a torch graph, or in 8 bits",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="a student, such as runs/first/student")
    parser.add_argument(
        "--to", nargs="+", required=True, choices=FORMS, metavar="FORM", help=", ".join(FORMS)
    )


def run(args: argparse.Namespace) -> int:
    """Export, print what was checked; 2 for what cannot be exported."""
    try:
        from distill_lab.jobs.exporting import export

        for form in args.to:
            print(export(args.folder, form), flush=True)
    except (ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
