"""`python -m distill_lab.course.worlds nli exam.jsonl`: see `exams`."""

from distill_lab.course.worlds.exams import main

raise SystemExit(main())
