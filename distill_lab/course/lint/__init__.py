"""The form of a lesson: its parts, and the rules of size and shape it keeps."""
