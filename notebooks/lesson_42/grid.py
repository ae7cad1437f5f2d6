"""A walk on a grid as a language: cells are tokens, and a mistake can be walked back from.

    goal start | cell cell cell goal end

The prompt has two tokens, the goal and the first cell. Each token after it is the next cell, and
the end token closes the walk. A walk arrives if the end token follows the goal. What may come next
depends on the goal and the last cell alone, so all that a writer will do is known exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "CELLS",
    "END",
    "LONGEST",
    "SIDE",
    "VOCABULARY",
    "Outcome",
    "Walks",
    "follow",
    "nearer_cells",
    "outcome",
    "teacher_table",
    "write",
]

SIDE = 5
CELLS = SIDE * SIDE
END, VOCABULARY = CELLS, CELLS + 1
LONGEST = 16  # tokens of an answer; the longest shortest walk has 8 cells and its end
FIRST = 0  # the cell that every walk begins at: the upper left corner


class Walks(NamedTuple):
    """Walks of S writers, N each.

    Args:
        states: numbers of (goal, cell) pairs that the tokens were drawn at, (S, N, LONGEST).
        tokens: what was drawn there, the same shape.
        mask: True up to the end token, and there.
    """

    states: Tensor
    tokens: Tensor
    mask: Tensor


class Outcome(NamedTuple):
    """What becomes of walks, exactly: a mean over all goals.

    Args:
        visits: expected visits of each goal and cell, (S, CELLS, CELLS), over one walk.
        arrived: the share of walks that end at their goal, in percent, (S,).
        ended: the share that end at all, in percent, (S,).
        length: expected tokens a walk, its end included, (S,).
    """

    visits: Tensor
    arrived: Tensor
    ended: Tensor
    length: Tensor


def nearer_cells(cell: int, goal: int) -> list[int]:
    """List the neighbours of a cell that are nearer to the goal: none, one or two.

    >>> nearer_cells(0, 6), nearer_cells(6, 6)
    ([1, 5], [])
    """
    (row, column), (to_row, to_column) = divmod(cell, SIDE), divmod(goal, SIDE)
    along = [cell + (1 if to_column > column else -1)] if column != to_column else []
    down = [cell + (SIDE if to_row > row else -SIDE)] if row != to_row else []
    return along + down


def teacher_table(noise: float = 0.01, routes: int = 2) -> Tensor:
    """Give the teacher's probabilities of the next token, for each goal and cell.

    Formula: (1 - noise) / n for each of the n neighbours that are nearer to the goal, or for the
    end token at the goal; noise / VOCABULARY for every token more, so that no token is impossible.

    Args:
        noise: what is spread evenly.
        routes: 2 allows both nearer neighbours; 1 allows one, along the row before the column.

    Returns:
        Probabilities (CELLS, CELLS, VOCABULARY): goal, last cell, next token.
    """
    p = torch.full((CELLS, CELLS, VOCABULARY), noise / VOCABULARY)
    for goal in range(CELLS):
        for cell in range(CELLS):
            right = nearer_cells(cell, goal)[:routes] or [END]
            p[goal, cell, right] += (1 - noise) / len(right)
    return p


def write(p: Tensor, goals: Tensor, u: Tensor) -> Walks:
    """Let S writers draw one walk to each goal.

    Args:
        p: their probabilities, (S, CELLS, CELLS, VOCABULARY).
        goals: (S, N).
        u: uniform numbers (LONGEST, S, N) that decide the draws: equal ones for two writers pair
            them.

    Returns:
        The walks.
    """
    rows = p.flatten(1, 2).cumsum(-1)  # (S, goals * cells, tokens)
    which = torch.arange(len(p))[:, None]
    cell, done = torch.full_like(goals, FIRST), torch.zeros_like(goals, dtype=torch.bool)
    states, tokens, mask = [], [], []
    for draw in u:
        state = goals * CELLS + cell
        token = (draw[..., None] > rows[which, state]).sum(-1).clamp_max(END)
        states.append(state)
        tokens.append(token)
        mask.append(~done)
        done = done | (token == END)
        cell = torch.where(done, cell, token)
    return Walks(*(torch.stack(parts, -1) for parts in (states, tokens, mask)))


def outcome(p: Tensor) -> Outcome:
    """Add up all walks of S writers by their probability.

    Args:
        p: probabilities (S, CELLS, CELLS, VOCABULARY).

    Returns:
        What becomes of the walks.
    """
    at = p.new_zeros(p.shape[:3])  # the probability of still being there
    at[..., FIRST] = 1 / CELLS
    visits, arrived, ended = torch.zeros_like(at), p.new_zeros(len(p)), p.new_zeros(len(p))
    goals = torch.arange(CELLS)
    for _ in range(LONGEST):
        visits += at
        arrived += (at[:, goals, goals] * p[:, goals, goals, END]).sum(-1)
        ended += (at * p[..., END]).sum((1, 2))
        at = torch.einsum("sgc,sgcd->sgd", at, p[..., :CELLS])
    return Outcome(visits, 100 * arrived, 100 * ended, visits.sum((1, 2)))


def follow(p: Tensor, goal: int, u: Tensor) -> list[int]:
    """Write one walk of one writer, as a list of tokens.

    Args:
        p: probabilities (CELLS, CELLS, VOCABULARY).
        goal: where it should go.
        u: uniform numbers (LONGEST,).

    Returns:
        The tokens, the end included where there is one.
    """
    walk = write(p[None], torch.tensor([[goal]]), u[:, None, None])
    return walk.tokens[walk.mask].tolist()
