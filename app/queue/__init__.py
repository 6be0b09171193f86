"""With worker.py, the only code that knows RQ: which jobs there are and how they come to run."""
