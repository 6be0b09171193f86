"""Rules without I/O, session or clock; standard library only."""
