"""A YAML file as values with their lines; numbers as everybody writes them, no key twice."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from distill_lab._util.checks import needs

ESCAPES = (
    "in double quotes a backslash begins an escape: write paths in single quotes, as in "
    r"'C:\models\teacher', or with forward slashes."
)
# What YAML 1.2 takes for a number, true or false, and nothing. YAML 1.1 takes 2e-4 for a text, no
# for false and 2026-11-28 for a date.
PLAIN: dict[str, str] = {
    "tag:yaml.org,2002:merge": r"<<",
    "tag:yaml.org,2002:null": r"~|null|Null|NULL|",
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:int": r"[-+]?[0-9][0-9_]*",
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
Key = tuple[str, ...]


@dataclass
class Document:
    """What a file says.

    Args:
        values: The mapping it is.
        lines: The line of each key, from 1, by the keys that lead to it.
        escaped: The keys whose value is a text with a backslash escape in it.
        mistakes: A line and a sentence for each key that comes twice.
    """

    values: dict[Any, Any] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    escaped: set[Key] = field(default_factory=set)
    mistakes: list[tuple[int, str]] = field(default_factory=list)


def read_yaml(text: str, name: str | Path) -> Document:
    """Read a mapping.

    Args:
        text: The file's.
        name: The file, for the words of an error.

    Returns:
        Its values, and where each stands.

    Raises:
        ValueError: For what is no YAML, or no mapping, with the line.
    """
    with needs("yaml"):
        import yaml
    document = Document()
    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        given = {} if node is None else loader.construct_document(node)
        if isinstance(given, dict) and node is not None:
            document.values = given
            _walk(node, (), text, document)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        way_out = f" In a file, {ESCAPES}" if "escape" in problem else ""
        tab = " Indent with spaces." if "'\\t'" in problem else ""
        raise ValueError(f"{name}{where}: this is not YAML: {problem}.{way_out}{tab}") from error
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply for a job file.") from None
    if not isinstance(given, dict):
        raise ValueError(f"{name}: expected lines of the form 'name: value', got {given!r}.")
    return document


def read_value(text: str) -> Any:
    """A single value as a file would have it, such as `1e-3` or `[q_proj, v_proj]`.

    >>> read_value("2e-4"), read_value("runs/b"), read_value("no")
    (0.0002, 'runs/b', 'no')
    """
    with needs("yaml"):
        import yaml
    try:
        return _loader()(text).get_single_data()
    except yaml.YAMLError:
        return text  # C:\models: a path, as a shell hands it over


def _walk(node: Any, at: Key, text: str, document: Document) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*at, str(key.value))
            line = key.start_mark.line + 1
            if name in document.lines:
                first = document.lines[name]
                message = f"{'.'.join(name)} stands here and on line {first}: keep one of them."
                document.mistakes.append((line, message))
            document.lines[name] = line
            _walk(value, name, text, document)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _walk(value, at, text, document)
    elif node.style == '"':
        raw = text[node.start_mark.index : node.end_mark.index]
        if re.search(r"\\[0abtnvfreNLP_]", raw.replace(r"\\", "")):
            document.escaped.add(at)


def _loader() -> Any:
    """YAML's own loader of plain values, with the numbers of YAML 1.2."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    for tag, pattern in PLAIN.items():
        Loader.add_implicit_resolver(tag, re.compile(rf"(?:{pattern})\Z"), None)
    Loader.add_constructor(
        "tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node))
    )
    Loader.add_constructor(
        "tag:yaml.org,2002:float",
        lambda loader, node: float(
            re.sub(r"\.(?=inf|nan)", "", loader.construct_scalar(node).lower())
        ),
    )
    return Loader
