"""The background door: thin functions that take ids and call one service function."""
