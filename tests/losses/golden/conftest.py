"""These scripts need the oracles' environment; nothing of them is a test."""

collect_ignore_glob = ["*_cases.py", "make.py"]
