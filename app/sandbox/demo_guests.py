"""Invented guests for the demo, with the names of many places."""

from __future__ import annotations

import hashlib
import unicodedata

from app.sandbox.records import Guest

NAMES = (
    "Ana Beatriz Conceição", "João Araújo", "Márcia Guimarães", "Thiago Brandão", "Inês Falcão",
    "Søren Østergaard", "Åsa Lindström", "Jürgen Großmann", "Zoë van den Berg",
    "Łukasz Wiśniewski", "Agnieszka Żółkowska", "Jiří Dvořák", "Eliška Nováčková",
    "Ferenc Szőke", "Réka Kővári", "François Lefèvre", "Maëlle Béranger", "Íñigo Echeverría",
    "Lucía Peña Núñez", "Núria Puigdomènech", "Siobhán Ní Bhriain", "Pádraig Ó Súilleabháin",
    "Gülşen Yıldırım", "Çağrı Özdemir", "Șerban Țăranu", "Ioana Bălăceanu", "Đorđe Živković",
    "Snežana Čolić", "Kristīne Bērziņa", "Žygimantas Jučas", "Þórdís Guðmundsdóttir",
    "Jón Ægisson", "Nguyễn Thị Hương", "Trần Đức Minh", "Haruka Ōtani", "Kenji Saitō",
    "Seo-yeon Park", "Wang Xiǎomíng", "Priya Venkataraman", "Arjun Bhattacharya",
    "Amélie N’Diaye", "Chukwuemeka Okonkwọ", "Adébáyọ̀ Ṣóyínká-Bello", "Lindiwe Mthembu",
    "Yasmîn el-Khoury", "Omar Benaïssa", "Shira Ben-Ḥaim", "Parisa Āzādī", "Ольга Иванова",
    "Дмитро Шевчук", "Ελένη Παπαδοπούλου", "李雪梅", "田中さくら", "김민준", "María José Ibáñez",
    "Valentín Güemes", "Tupaq Quispe", "Mahina Kealoha", "Hēmi Ngāpuhi-Clarke",
    "Rosalía Sepúlveda", "Noah O’Sullivan", "Grace D’Souza", "Elif Karabağ", "Mathilde Sørbø",
    "Päivi Mäkelä",
)  # fmt: skip
PREFIXES = ("+5524", "+35191", "+8180", "+4477", "+4915", "+336", "+3462", "+1415")


def make(key: str, number: int) -> Guest:
    """A guest with name, address and telephone; now and then one is missing, as in life."""
    digest = hashlib.sha256(f"guest:{key}".encode())
    name = NAMES[number % len(NAMES)]
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalpha() else " " for c in folded).split()
    local = ".".join(words) if words else f"guest{digest.hexdigest()[:4]}"
    seed = digest.digest()
    phone = f"{PREFIXES[seed[1] % len(PREFIXES)]}55501{seed[2] % 100:02d}"
    return Guest(
        long_id=digest.hexdigest()[:24],
        name=name,
        email=f"{local}@example.org" if seed[0] > 20 else None,
        phone=phone if seed[3] > 40 else None,
    )
