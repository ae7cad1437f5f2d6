"""Distilling a language model as a job: one YAML file in, a student with its report out.

    distill-lab distill job.yaml

From Python: ``run_job(read_job("job.yaml"))``, from ``jobs.running`` and ``jobs.job``. Nothing is
imported here, so that the command line can show its help without loading torch.
"""
