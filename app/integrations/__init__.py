"""Vendors behind our own words; no Flask, no ORM, no RQ."""
