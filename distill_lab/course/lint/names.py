"""A name keeps its meaning, so that a reader can run cells above once more.

Where a cell reads a name that an earlier cell set, and a later cell sets it to something else, the
first one shows another result when it is run again. Each such case is a fault.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from distill_lab.course.lint.anatomy import tree

__all__ = ["names"]

Scope = ast.FunctionDef | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Names(ast.NodeVisitor):
    """What a cell reads from the cells before it, and what it sets, each with its source.

    A function counts as reading its free names where it is written.
    """

    reads: set[str] = field(default_factory=set)
    sets: dict[str, str] = field(default_factory=dict)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.sets[node.id] = f"line {node.lineno}, column {node.col_offset}"  # like no other
        elif node.id not in self.sets:
            self.reads.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            self.sets |= _sources(target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self.visit(ast.Name(node.target.id, ast.Load()))
        else:
            self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.sets[(alias.asname or alias.name).split(".")[0]] = ast.unparse(node)

    visit_ImportFrom = visit_Import  # noqa: N815 - ast chooses these names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.sets[node.name] = ast.unparse(node)
        self._inside(node, node.body, _arguments(node.args))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._inside(node, [node.body], _arguments(node.args))

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._inside(node, [*node.generators, node.elt], set())

    visit_SetComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._inside(node, [*node.generators, node.key, node.value], set())

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for part in (node.iter, node.target, *node.ifs):
            self.visit(part)

    def _inside(self, scope: Scope, parts: list[Any], own: set[str]) -> None:
        """Take over what a scope reads that it neither sets nor gets as an argument."""
        if isinstance(scope, ast.FunctionDef | ast.Lambda):
            for default in (*scope.args.defaults, *filter(None, scope.args.kw_defaults)):
                self.visit(default)
        inner = Names(sets=dict.fromkeys(own, ""))
        for part in parts:
            inner.visit(part)
        self.reads |= inner.reads - self.sets.keys()


def _arguments(given: ast.arguments) -> set[str]:
    names = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {argument.arg for argument in names if argument is not None}


def _sources(target: ast.expr, value: ast.expr) -> dict[str, str]:
    """The source of each name that an assignment sets, where it can be told."""
    if isinstance(target, ast.Name):
        return {target.id: ast.unparse(value)}
    if (
        isinstance(target, ast.Tuple)
        and isinstance(value, ast.Tuple)
        and len(target.elts) == len(value.elts)
    ):
        pairs = zip(target.elts, value.elts, strict=True)
        return {name: source for t, v in pairs for name, source in _sources(t, v).items()}
    return {}


def names(nb: Any, name: str) -> Iterator[str]:
    """Find names that a later cell sets anew although a cell above still reads them."""
    cells = []
    for i, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            used = Names()
            used.visit(tree(cell.source))
            cells.append((i, used))
    for at, (i, used) in enumerate(cells):
        for read in sorted(used.reads):
            before = [c.sets[read] for _, c in cells[:at] if read in c.sets]
            after = [j for j, c in cells[at + 1 :] if read in c.sets and c.sets[read] != before[-1]
                     ] if before else []  # fmt: skip
            if after:
                yield (
                    f"cell {i} reads `{read}`, and cell {after[0]} sets it to something else: run "
                    "again, the first shows another result. Give the later one its own name."
                )
