"""Files of a learner's that are called like a module, and so are imported in its place."""

import sys
from importlib import machinery, metadata
from pathlib import Path

IMPORTED = tuple(machinery.all_suffixes())  # source, bytes and libraries
HARMLESS = {"distill_lab", "test", "tests", "this", "antigravity", "conftest", "docs", "data"}
WORDS = (
    "is imported in place of the module of that name: rename it, and remove the folder "
    "__pycache__ beside it"
)


def files_in_the_way(folder: Path) -> list[str]:
    """Name what in a folder hides a module of Python or of an installed package.

    Args:
        folder: Where a lesson lies, or where Python was started.

    Returns:
        File names, in their order.
    """
    stems = {
        path.name: path.name.split(".")[0]
        for path in sorted(folder.iterdir())
        if (path.name.endswith(IMPORTED) and path.is_file()) or (path / "__init__.py").is_file()
    }
    names = {stem for stem in stems.values() if stem not in HARMLESS}
    if not names:
        return []
    modules = set(sys.stdlib_module_names) | set(metadata.packages_distributions())
    return [name for name, stem in stems.items() if stem in names & modules]
