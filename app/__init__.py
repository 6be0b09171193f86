"""Turnkey: bookings in, door PINs out. Importing a subpackage never builds the web app."""
