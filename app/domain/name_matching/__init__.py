"""Which lock belongs to which room, judged by their names (MATCH-01, C-51)."""

from app.domain.name_matching.candidates import Door, Room
from app.domain.name_matching.comparing import Note
from app.domain.name_matching.names import normalise
from app.domain.name_matching.suggestions import Confidence, Matching, Pair, match

__all__ = ["Confidence", "Door", "Matching", "Note", "Pair", "Room", "match", "normalise"]
