"""Language models from the command line: text from a teacher, and a student from one YAML file.

    distill-lab generate prompts.txt answers.jsonl --local models/teacher
    distill-lab distill job.yaml

From Python: `run_job(read_job("job.yaml"))`, from `jobs.running` and `jobs.job_file`. Nothing is
imported here, so that the command line can show its help without loading torch.
"""
