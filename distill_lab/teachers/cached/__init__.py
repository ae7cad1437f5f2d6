"""A teacher on disk: `write` asks it once about every example, `read` answers from the files."""
