"""The paper's evaluation in one command: a model on many videos, resumable, with a report to look at."""
