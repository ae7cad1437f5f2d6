"""The smallest lesson that keeps every rule of the lint, and can be run."""

from typing import Any

import nbformat

EXERCISE = """### Exercise {n}: soften

*difficulty* 2/5 · *importance* 5/5 · *minutes* 10

Divide, then normalise.

<details><summary>Hint</summary>

Divide first.
</details>
<details><summary>Help</summary>

If the rows do not sum to 1, look at the axis.
</details>
<details><summary>Solution</summary>

```python
def my_soften(logits, T):
    return (logits / T).softmax(-1)
```
</details>
"""
STUB = "def my_soften(logits, T):\n    ...\n\ncheck.soften(my_soften)"


CLAIM = """["11.a"]
says = "One is one"
if_not = "One is another number"
paper = "Hinton, Vinyals & Dean 2015"
where = "section 2"
published = ""
expected = "exact"
"""


def markdown(source: str, *tags: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)} if tags else {})


def code(source: str, *tags: str) -> Any:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def small_lesson(name: str = "11_soft_targets") -> Any:
    """A notebook of this name with one claim, `NN.a`, and three exercises."""
    number = name[:2]
    text = "\n".join(["Plain words fill a cell here. They say what there is to say now."] * 3)
    cells = [
        markdown("# Soft targets\n\nYou will be able to soften. It takes 45 minutes."),
        code('PROFILE = "quick"\nSEED = 0', "parameters"),
        code(
            "import torch\nfrom distill_lab.course import Lesson, check, widgets\n"
            "from distill_lab.course.figures import plots",
            "imports",
        ),
        code(f'lesson = Lesson("{name}", profile=PROFILE, seed=SEED)'),
        code(
            "fig, axes = plots.new_figure(4, 2)\naxes.bar([0, 1], [0.3, 0.7])\n"
            "plots.show(fig, alt='Two bars of a distribution.')",
            "figure",
        ),
        markdown("## Recall\n\n1. What is a logit? 2. What is a label?"),
        code(
            f'lesson.predict("{number}.up", "Does the loss of this lesson rise?",\n'
            '{"yes": (0, None), "no": (None, 0)})'
        ),
        code(f'lesson.reveal("{number}.up", 1.0)'),
        code(
            f'lesson.predict("{number}.down", "In the next step the loss falls ...", ["yes", "no"])'
        ),
        code(f'lesson.reveal("{number}.down", "no")'),
        code(f'lesson.claim("{number}.a", 1.0, ours="1", holds=True)'),
        code(
            "def picture(T):\n    return f'<svg viewBox=\"0 0 90 20\"><text>{T}</text></svg>'\n\n"
            'widgets.explore(picture, T=widgets.slider("T", 1, 9))'
        ),
        markdown("## What people get wrong\n\n" + text),
    ]
    for n in (1, 2, 3):
        cells += [markdown(EXERCISE.format(n=n), "exercise"), code(STUB, "exercise")]
    cells += [markdown(text + "\n" + text) for _ in range(20)]
    cells += [
        code("x = torch.tensor(\n    [\n        1.0,\n        2.0,\n    ]\n)") for _ in range(12)
    ]
    cells += [markdown("## Recap\n\n" + text), markdown("## References\n\n" + text)]
    cells.append(code("lesson.close()"))
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
        "distill_lab": {
            "title": "Soft targets",
            "minutes": 45,
            "needs": ["00"],
            "can_do": ["soften"],
        },
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)
