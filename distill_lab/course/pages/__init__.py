"""The course as pages to read: self-contained HTML, nothing fetched, whole without a script.

`notebook` turns an executed notebook into HTML, `alive` gives it what answers without a kernel,
`maths` turns LaTeX into MathML, `shell` puts the frame around a page, `overview` makes the course
map and the claims ledger, `plot` a claim's interval.
"""

from distill_lab.course.pages.notebook import lesson_body
from distill_lab.course.pages.overview import write_lesson, write_overview
from distill_lab.course.pages.shell import external_loads, lesson_page, unread_formulas

__all__ = [
    "external_loads",
    "lesson_body",
    "lesson_page",
    "unread_formulas",
    "write_lesson",
    "write_overview",
]
