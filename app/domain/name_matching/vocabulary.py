"""What hosts and locksmiths write on doors, in Portuguese, English and Spanish (C-51)."""

from __future__ import annotations


def _table(groups: dict[str, str]) -> dict[str, str]:
    """Each word of a group, and its name, to the group's name."""
    return {word: name for name, words in groups.items() for word in (name.split() + words.split())}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: what a guest sleeps in
UNIT_KINDS = _table(
    {
        "apartamento": "apto ap apt apart aptos apartment departamento depto dpto dep flat",
        "quarto": "qto qt qrt quartos room rm rooms habitacion hab cuarto dormitorio bedroom "
        "alojamiento",
        "unidade": "uh und unid unit unidad",
        "suite": "ste suites",
        "casa": "house home casas",
        "chale": "chalet chales chalets",
        "bangalo": "bungalow bungalo",
        "cabana": "cabin cabanas cabins",
        "vila": "villa villas",
        "dorm": "dormitory dorms",
        "studio": "estudio kit kitnet kitinete monoambiente",
        "loft": "lofts",
        "cobertura": "penthouse ph atico",
    }
)
#: kinds that the same room goes by, one in the listing and another on the lock
LOOSE_KINDS = frozenset({"apartamento", "quarto", "suite", "studio", "loft"})
#: says only that it is one of them
ANY_KIND = frozenset({"unidade"})
#: what holds several of them; ranked from the outside in
BUILDINGS = _table(
    {
        "edificio": "ed edif predio building bldg",
        "torre": "tower torres",
        "bloco": "bl blc block bloque bloc",
        "ala": "wing",
    }
)
BUILDING_RANK = {name: rank for rank, name in enumerate(("edificio", "torre", "bloco", "ala"))}
FLOOR = "andar"
FLOORS = frozenset({"andar", "piso", "floor", "planta", "pavimento", "pav", "nivel", "fl"})
#: the device itself, and what is said of it
DEVICES = _set(
    "fechadura fechaduras lock locks cerradura cerraduras smart smartlock doorlock "
    "inteligente digital eletronica electronica electronic keypad teclado wifi zigbee "
    "bluetooth ble tuya device dispositivo trava intelbras yale ttlock aqara pado papaiz ekaza"
)
STOP = DEVICES | _set(
    "da das de del di do em en na nas nos no com con with para por pelo ao aos la las los el "
    "il the of at in on and para nr num numero number porta portas door puerta puertas hotel "
    "hoteis pousada hostel hostal posada inn resort residencial residence residencia "
    "condominio condo airbnb booking"
)
#: the floor without a number
GROUND = "terreo"
#: single letters that are also little words; whether one is a door's letter, its place tells
LITTLE = frozenset("aeoy")

#: doors that belong to nobody's room: never the same as a door without the word
COMMON = _set(
    "portao gate porton portaria garagem garage garaje recepcao recepcion reception lobby "
    "lavanderia laundry deposito storage almoxarifado elevador elevator ascensor academia gym "
    "escada stairs escalera cozinha kitchen cocina "
    "sala salao salon escritorio office oficina"
)
#: the same word in three languages; what it becomes is only ever compared
SAME = _table(
    {
        "norte": "north",
        "sul": "south sur",
        "leste": "east este",
        "oeste": "west",
        "esquerda": "esq left izquierda izq",
        "direita": "dir right derecha der",
        "frente": "front",
        "fundos": "fundo back rear fondo",
        "superior": "upper",
        "inferior": "lower",
        "terreo": "ground bajo",
        "luxo": "deluxe lujo luxury dlx",
        "standard": "std padrao estandar",
        "presidencial": "presidential",
        "junior": "jr",
        "familia": "family familiar fam",
        "casal": "double doble duplo dbl",
        "solteiro": "single individual sgl",
        "triplo": "triple tpl",
        "azul": "blue",
        "verde": "green",
        "amarelo": "amarela yellow amarillo amarilla",
        "vermelho": "vermelha red rojo roja",
        "branco": "branca white blanco blanca",
        "preto": "preta black negro negra",
        "rosa": "pink",
        "roxo": "roxa purple morado morada",
        "laranja": "orange naranja",
        "cinza": "grey gray gris",
        "mar": "sea",
        "oceano": "ocean",
        "praia": "beach playa",
        "jardim": "garden jardin",
        "piscina": "pool pileta alberca",
        "lua": "moon luna",
        "sol": "sun",
        "estrela": "star estrella",
        "montanha": "mountain montana",
        "rio": "river",
        "lago": "lake",
        "vista": "view",
        "flores": "flowers",
        "master": "maestra",
    }
)
#: words that tell one door from its neighbour: two names with different ones never meet
MARKS = _set(
    "norte sul leste oeste esquerda direita frente fundos superior inferior terreo luxo "
    "standard presidencial junior familia casal solteiro triplo azul verde amarelo vermelho "
    "branco preto rosa roxo laranja cinza master premium executivo executive vip plus gold "
    "silver"
)
#: written apart or together, the same
PHRASES = {
    ("bem", "te", "vi"): "bemtevi",
    ("wi", "fi"): "wifi",
    ("beija", "flor"): "beijaflor",
    ("joao", "de", "barro"): "joaodebarro",
    ("ground", "floor"): "terreo",
    ("andar", "terreo"): "terreo",
    ("piso", "terreo"): "terreo",
    ("planta", "baja"): "terreo",
    ("self", "check", "in"): "wifi",
}
PHRASE_STARTS = frozenset(phrase[0] for phrase in PHRASES)

_COUNTED = (
    (0, "zero cero"),
    (1, "um uma uno una one"),
    (2, "dois duas dos two"),
    (3, "tres three"),
    (4, "quatro cuatro four"),
    (5, "cinco five"),
    (6, "seis six"),
    (7, "sete siete seven"),
    (8, "oito ocho eight"),
    (9, "nove nueve nine"),
    (10, "dez diez ten"),
    (11, "onze once eleven"),
    (12, "doze doce twelve"),
    (13, "treze trece thirteen"),
    (14, "catorze quatorze fourteen"),
    (15, "quinze quince fifteen"),
    (16, "dezesseis dieciseis sixteen"),
    (17, "dezessete diecisiete seventeen"),
    (18, "dezoito dieciocho eighteen"),
    (19, "dezenove diecinueve nineteen"),
    (20, "vinte veinte twenty"),
    (30, "trinta treinta thirty"),
    (40, "quarenta cuarenta forty"),
    (50, "cinquenta cincuenta fifty"),
)
NUMBER_WORDS = {word: number for number, words in _COUNTED for word in words.split()}
ORDINAL_WORDS = {
    word: number
    for number, words in (
        (1, "primeiro primeira primer primero primera first"),
        (2, "segundo segunda second"),
        (3, "terceiro terceira tercer tercero tercera third"),
        (4, "quarto quarta cuarto cuarta fourth"),
        (5, "quinto quinta fifth"),
    )
    for word in words.split()
}
#: articles and prepositions when a plain word follows: "Casa dos Ventos"
ARTICLES = frozenset({"um", "uma", "una", "dos"})
#: the safe ones: I, V and X are letters of blocks, VI and XI are words or syllables
ROMAN = {"ii": 2, "iii": 3, "iv": 4, "vii": 7, "viii": 8, "ix": 9, "xii": 12, "xiii": 13}
#: what only its place in the name explains
DEPENDING = LITTLE | PHRASE_STARTS | NUMBER_WORDS.keys() | ORDINAL_WORDS.keys()
