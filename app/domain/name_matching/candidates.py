"""Every pair of accommodation and lock that may be the same door, with its score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from app.domain.name_matching import houses
from app.domain.name_matching.comparing import WORTH_A_LOOK, Note, Verdict, compare, veto
from app.domain.name_matching.houses import House
from app.domain.name_matching.names import Name, read

#: similar(query, choices, cutoff): the places of the choices that are at least `cutoff` alike by
#: normalised Levenshtein similarity, with it
Similar = Callable[[str, Sequence[str], float], list[tuple[int, float]]]

#: what naming the house is worth when two doors are otherwise alike
HOUSE_SAID = 0.06
#: what is taken off when the room's number, or the lock's name, comes from another field
NUMBER_FIELD = 0.05
LOCATION_FIELD = 0.05
#: what is taken off when the room has another number besides the one in its name
NUMBER_DIFFERS = 0.1
#: so many locks are kept per accommodation, the best ones
KEPT = 20


@dataclass(frozen=True, slots=True)
class Room:
    """An accommodation as its people call it."""

    name: str
    number: str | None = None
    house: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """A lock as its installer called it."""

    name: str
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that may be one door. `weight` ranks it; it is the score, and more for the house."""

    score: float
    weight: float
    certain: bool
    notes: tuple[Note, ...]


#: room's place -> lock's place -> the pair
Candidates = dict[int, dict[int, Candidate]]


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A way to say name and number together, and whether it takes words to mean the room."""

    name: Name
    in_words: bool


@dataclass(slots=True)
class _Rooms:
    """All rooms that one sentence describes: their names say the same."""

    name: Name
    #: the name with the number that the room has besides
    numbered: list[_Numbered]
    number: Name | None
    house: House
    text: str
    places: list[int] = field(default_factory=list)

    @property
    def number_key(self) -> tuple[str, ...]:
        return self.number.key if self.number is not None else ()


@dataclass(slots=True)
class _Doors:
    """All locks whose names and locations say the same."""

    name: Name
    inside: Name | None  # without the house
    house: House
    house_note: str
    location: Name | None
    from_location: bool
    places: list[int] = field(default_factory=list)


def candidates(
    rooms: Sequence[Room],
    doors: Sequence[Door],
    similar: Similar,
    *,
    cutoff: float = WORTH_A_LOOK,
    dismissed: Collection[tuple[int, int]] = (),
    other_houses: Collection[str] = (),
) -> Candidates:
    """The pairs with at least `cutoff`, none that is vetoed or dismissed.

    `other_houses` have no room in `rooms`; a lock that names one of them is theirs.
    """
    cutoff = max(cutoff, WORTH_A_LOOK)
    names = {each.house for each in rooms if each.house}.union(other_houses)
    known = {named for name in names if (named := houses.house(name))}
    groups = _group_rooms(rooms)
    index = _Index(_group_doors(doors, known, _borne(groups, known)), similar, cutoff)
    found: Candidates = defaultdict(dict)
    for group in groups:
        best: dict[int, tuple[_Doors, Candidate]] = {}
        for place, pair in index.pairs(group):
            if pair.score >= cutoff and (place not in best or pair.weight > best[place][1].weight):
                best[place] = (index.doors[place], pair)
        ranked = sorted(best.values(), key=lambda each: -each[1].weight)
        for room in group.places:
            row = found[room]
            for door_group, pair in ranked:
                for door in door_group.places:
                    if len(row) >= KEPT:
                        break
                    if (room, door) not in dismissed:
                        row[door] = pair
    return {room: row for room, row in sorted(found.items()) if row}


def _group_rooms(rooms: Sequence[Room]) -> list[_Rooms]:
    groups: dict[Room, _Rooms] = {}
    for place, room in enumerate(rooms):
        group = groups.get(room)
        if group is None:
            named = houses.house(room.house) if room.house else ()
            name = houses.own(room.name, named)
            number = read(room.number) if room.number else None
            numbered = list(_with_number(name, number)) if number is not None else []
            group = groups[room] = _Rooms(name, numbered, number, named, room.name)
        group.places.append(place)
    return list(groups.values())


def _with_number(name: Name, number: Name) -> Iterator[_Numbered]:
    """The room "Garça" with the number A1 may be "A1 Garça" or "A1"; the name's own number stays.

    "Studio" with the number 2 is "Studio 2": its kind is no longer all there is to say.
    """
    if not number.key:
        return
    if name.key:
        if _contradict(name.key, number.key):
            for units in (number.key + name.units, name.units + number.key):
                key = tuple(value for _, value in name.buildings) + units
                yield _Numbered(name._replace(units=units, key=key), in_words=True)
        return
    if name.is_bare:
        name = name._replace(kinds=name.words, words=(), is_bare=False)
    whole = name._replace(buildings=number.buildings, units=number.units, key=number.key)
    yield _Numbered(whole, in_words=bool(name.words))
    if name.words:
        yield _Numbered(whole._replace(words=()), in_words=False)


def _borne(groups: Sequence[_Rooms], known: Collection[House]) -> set[House]:
    """The houses whose name some room of another house bears."""
    return {
        named
        for named in known
        if any(named != group.house and houses.spoken_of(group.text, (named,)) for group in groups)
    }


def _group_doors(
    doors: Sequence[Door], known: Collection[House], borne: Collection[House]
) -> list[_Doors]:
    groups: dict[Door, _Doors] = {}
    for place, door in enumerate(doors):
        group = groups.get(door)
        if group is None:
            group = groups[door] = _read_door(door, known, borne)
        group.places.append(place)
    return list(groups.values())


def _read_door(door: Door, known: Collection[House], borne: Collection[House]) -> _Doors:
    said = door.name
    named = houses.spoken_of(door.name, known) if known else ()
    location = None
    from_location = False
    if door.location:
        there = houses.spoken_of(door.location, known) if known else ()
        location = houses.own(door.location, there)
        named = named or there
        if not read(door.name).says_something and location.says_something:
            said, from_location = door.location, True
    inside = houses.without(said, named)
    # The whole name matters only to a room elsewhere that bears the house's name.
    name = inside if inside is not None and named not in borne else read(said)
    return _Doors(name, inside, named, " ".join(named), location, from_location)


class _Index:
    """The locks by their numbers, so that only those with a room's own are looked at."""

    def __init__(self, doors: Sequence[_Doors], similar: Similar, cutoff: float) -> None:
        self.doors = doors
        self._similar = similar
        self._cutoff = cutoff
        self._verdicts: dict[tuple[int, int], Verdict | None] = {}
        self._by_key: dict[tuple[str, ...], list[tuple[int, Name]]] = defaultdict(list)
        for place, door in enumerate(doors):
            self._by_key[door.name.key].append((place, door.name))
            if door.inside is not None and door.inside is not door.name:
                self._by_key[door.inside.key].append((place, door.inside))
        #: of the locks without a number: what they say, and where the same words are
        self._unnumbered = [name.core for _, name in self._by_key.get((), ())]
        self._same_words: dict[str, list[int]] = defaultdict(list)
        for at, (_, name) in enumerate(self._by_key.get((), ())):
            for words in _spellings(name):
                self._same_words[words].append(at)

    def pairs(self, room: _Rooms) -> Iterator[tuple[int, Candidate]]:
        """The lock groups that the room's name, or its name and number, may mean."""
        yield from self._pairs(room, room.name, None)
        for form in room.numbered:
            yield from self._pairs(room, form.name, form)

    def _pairs(
        self, room: _Rooms, name: Name, numbered: _Numbered | None
    ) -> Iterator[tuple[int, Candidate]]:
        options = self._by_key.get(name.key)
        if options is None:
            return
        near = self._near(name) if not name.key else [(at, None) for at in range(len(options))]
        for at, similarity in near:
            place, other = options[at]
            door = self.doors[place]
            if not _is_read_so(room, door, other):
                continue
            if numbered is not None and numbered.in_words is not bool(other.words):
                continue
            verdict = self._verdict(name, other, similarity)
            if verdict is not None and verdict.score >= self._cutoff:
                yield place, _weighed(room, door, verdict, is_numbered=numbered is not None)

    def _verdict(self, ours: Name, theirs: Name, similarity: float | None) -> Verdict | None:
        """None for a veto. Hundreds of equal names are compared once: the groups hold them."""
        known = (id(ours), id(theirs))
        if known not in self._verdicts:
            if veto(ours, theirs) is not None:
                self._verdicts[known] = None
            else:
                if similarity is None:
                    similarity = self._similarity(ours, theirs)
                self._verdicts[known] = compare(ours, theirs, similarity)
        return self._verdicts[known]

    def _near(self, name: Name) -> list[tuple[int, float | None]]:
        near: dict[int, float | None] = {
            at: None for words in _spellings(name) for at in self._same_words.get(words, ())
        }
        near.update(self._similar(name.core, self._unnumbered, self._cutoff))
        return list(near.items())

    def _similarity(self, ours: Name, theirs: Name) -> float:
        if ours.words == theirs.words or not ours.words or not theirs.words:
            return 1.0
        return next((found for _, found in self._similar(ours.core, [theirs.core], 0.0)), 0.0)


def _spellings(name: Name) -> set[str]:
    """The words written together, and in one fixed order: equal however far apart they look."""
    return {"".join(name.words), " ".join(sorted(name.words)), name.spelled}


def _is_read_so(room: _Rooms, door: _Doors, name: Name) -> bool:
    """Whether the lock means `name` when the room is in its house, or in another."""
    if not door.house:
        return True
    if door.house == room.house:
        return name is (door.inside or door.name)
    # A lock that names another house is another house's, unless the room bears that name itself.
    return name is door.name and bool(houses.spoken_of(room.text, (door.house,)))


def _weighed(room: _Rooms, door: _Doors, verdict: Verdict, *, is_numbered: bool) -> Candidate:
    """The verdict with what house, number and location add; they never lift a veto."""
    score, certain, notes = verdict.score, verdict.certain, list(verdict.notes)
    weight = 0.0
    same_words = any(note.code == "same_words" for note in notes)
    number = " ".join(room.number_key).upper()
    if is_numbered:
        # Sure only when the words say the same besides: "Garça", A1 is "A1 Garça".
        score, certain = score - NUMBER_FIELD, certain and same_words
        notes.append(Note("number_field", number))
    elif number and not same_words and _contradict(room.name.key, room.number_key):
        score, certain = score - NUMBER_DIFFERS, False
        notes.append(Note("number_differs", number))
    if door.from_location:
        score, certain = score - LOCATION_FIELD, False
        notes.append(Note("location_field", str(door.location)))
    elif door.location is not None and _elsewhere(room.name, door.location):
        certain = False
        notes.append(Note("location_differs", str(door.location)))
    if door.house and door.house == room.house:
        weight = HOUSE_SAID
        notes.append(Note("same_house", door.house_note))
    score = max(score, 0.0)
    return Candidate(score, score + weight, certain, tuple(notes))


def _contradict(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether neither of two numbers is the other's beginning or end: 101 and B-101 agree."""
    if not ours or not theirs:
        return False
    short, long = sorted((ours, theirs), key=len)
    return long[: len(short)] != short and long[len(long) - len(short) :] != short


def _elsewhere(room: Name, location: Name) -> bool:
    here, there = dict(room.buildings), dict(location.buildings)
    if any(here[label] != there[label] for label in here.keys() & there.keys()):
        return True
    floors = (
        room.floor,
        location.floor or (location.units[-1] if location.floor_is_unit else None),
    )
    return None not in floors and floors[0] != floors[1]
