"""Which passwords are guessed first, and are therefore refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from app.domain.folding import fold

#: for what people choose themselves
SHORTEST = 12

Fault = Literal["short", "email", "common"]

#: what most guessed passwords are made of, in the languages of our houses, and our own name
_TEXT = """
password passwort passwd pass senha senhas contrasena clave motdepasse admin administrator
administrador root user usuario guest hospede welcome bemvindo bienvenido willkommen hello ola
letmein login secret segredo secreto master mestre default changeme mudar trocar test teste
testing iloveyou teamo euteamo amor love princess princesa dragon monkey sunshine shadow
football futebol soccer baseball superman batman flamengo corinthians palmeiras saopaulo vasco
gremio santos brasil brazil deus jesus jesuscristo familia hotel pousada recepcao reception
frontdesk hostel quarto turnkey summer winter verao inverno spring autumn january february march
april october november december qwerty qwertz azerty asdf asdfgh zxcvbn trustno michael jordan
jennifer charlie computer computador internet starwars whatever company empresa server servidor
temporary temporario abc abcd new the my minha meu your is and
"""
_WORDS = frozenset(_TEXT.split())
#: one finger along the keys, either way
_RUNS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertyuiopqwertyuiop",
    "asdfghjklasdfghjkl",
    "zxcvbnmzxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qweasdzxcrtyfghvbnuiojklm",
    "147258369147258369",
)
_LEET = str.maketrans("013457@$!", "oleastasi")


def fault(password: str, email: str) -> Fault | None:
    """Why the password is refused for the person of that address; None when it is not."""
    if len(password) < SHORTEST:
        return "short"
    plain = fold(password).strip()
    address = email.casefold()
    local, _, domain = address.partition("@")
    own = plain
    for part in (address, local, domain, domain.split(".")[0]):
        if len(part) >= 4:
            own = own.replace(part, "")
    if own != plain and len(own) < 8:
        return "email"
    return "common" if _is_common(plain) else None


def _is_common(plain: str) -> bool:
    if len(set(plain)) < 5 or _is_repeated(plain):
        return True
    letters = "".join(char for char in plain if char.isalnum())
    if not letters or _mostly_in_order(letters):
        return True
    # Without the figures around it, and with look-alikes read as the letters they stand for.
    bare = plain.strip("0123456789!?.,;:#*+-_ ")
    cores = (plain, plain.translate(_LEET), bare.translate(_LEET))
    return any(_made_of_words("".join(filter(str.isalpha, core))) for core in cores)


def _is_repeated(plain: str) -> bool:
    """abcabcabcabc, or most of it."""
    return any(
        plain == (plain[:size] * len(plain))[: len(plain)] for size in range(1, len(plain) // 2 + 1)
    )


def _mostly_in_order(letters: str) -> bool:
    """Whether nearly every pair of neighbours stands side by side in a run, either way."""
    if len(letters) < 2:
        return True
    best = 0
    for run in _RUNS:
        for line in (run, run[::-1]):
            known = {a + b for a, b in pairwise(line)}
            best = max(best, sum(a + b in known for a, b in pairwise(letters)))
    return best >= (len(letters) - 1) * 0.75


def _made_of_words(core: str) -> bool:
    """Whether the letters are one or two words of the list, and nothing else."""
    return core in _WORDS or any(
        core[:cut] in _WORDS and (core[cut:] in _WORDS or len(core) - cut < 3)
        for cut in range(3, len(core))
    )
