"""How fast Turnkey is, each figure against a floor measured in the same run (INTERFACES §11)."""
