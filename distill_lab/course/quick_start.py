"""Imported first by what reads notebooks: takes a slow import out of its way.

jsonschema, which nbformat checks notebooks with, imports a grammar of international web addresses
where that is installed, and builds it at once: a second or two for each process. Notebooks hold no
such addresses, and without the grammar jsonschema does not look for them.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
