"""With worker.py, the only code that knows RQ."""
