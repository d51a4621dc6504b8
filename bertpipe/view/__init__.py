"""HTML pages for people: an annotated output as one file that needs nothing else."""
