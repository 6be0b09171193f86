"""Ways to tell people something: e-mail and a signed webhook. They know nothing of alerts.

Each has a `send` that returns once the other side has taken the message over, and raises `NotSent`
otherwise. Every message carries an id of its own, the same for every try, so that a receiver can
drop the copy that a lost answer makes.
"""

from __future__ import annotations


class NotSent(Exception):
    """The message was not taken over, or nobody knows; the text is fit to be stored and shown: it
    holds no password, no address and nothing of the message."""
