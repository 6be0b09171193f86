"""Embedded PostgreSQL and Redis, and the process runner behind bin/run and bin/test."""
