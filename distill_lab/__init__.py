"""Distill Lab: a thin knowledge-distillation engine, and the course built on it.

The engine never prints, plots, downloads or seeds the global generator unless asked;
what a notebook needs to teach lives in ``distill_lab.course``.
"""

__version__ = "0.1.0"
