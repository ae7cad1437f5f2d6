"""Compile what is really used by importing it once: `make env` calls this at its end.

Else each new process compiles torch again, wherever Python is told not to write bytecode. pip's own
compiling takes as long as the install, and compiles far more.
"""

from importlib import import_module
from pkgutil import walk_packages

import distill_lab

USED = """
jupyterlab.labapp ipykernel.kernelapp ipykernel.debugger IPython.core.debugger
IPython.extensions.storemagic papermill nbconvert.exporters pytest hypothesis PIL.JpegImagePlugin
torch._dynamo torch._inductor transformers.models.llama.modeling_llama
transformers.models.bert.modeling_bert transformers.models.auto.tokenization_auto
transformers.convert_slow_tokenizer datasketch sacrebleu rouge_score.rouge_scorer
"""
own = [module.name for module in walk_packages(distill_lab.__path__, "distill_lab.")]
for name in [*USED.split(), *own]:
    if "__main__" not in name:
        import_module(name)
