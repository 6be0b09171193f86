"""A channel and a lock vendor as docs/extending.md has them written: invented, and proven."""
