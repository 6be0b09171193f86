"""The vendors' twins for local use, true to the wire; nothing imports it."""
