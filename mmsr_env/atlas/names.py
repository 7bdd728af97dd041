"""Names: two pronounceable words, unique in the world, the second telling the realm.

Every word is shared by a few entities (`namesakes`), so that a search for one of them finds
its namesakes too; no two entities share both words.
"""

from __future__ import annotations

from mmsr_env.atlas.chance import shuffled

_ONSETS = ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("n", "r", "l", "s", "th")
OPEN_SYLLABLES = tuple(onset + vowel for onset in _ONSETS for vowel in _VOWELS)
CLOSED_SYLLABLES = tuple(
    onset + vowel + _CODAS[(i + j + shift) % len(_CODAS)]
    for i, onset in enumerate(_ONSETS)
    for j, vowel in enumerate(_VOWELS)
    for shift in (0, 2)
)
REALM_NAMES = ("Hearth", "Orun", "Veska", "Tolmar", "Isend")
"""The realms by number; realm 0 is the home realm."""


def entity_name(place: int, realm: int, count: int, namesakes: int, seed: int) -> str:
    """The name of one entity.

    Args:
        place: Its place among the entities of its realm, from 0.
        realm: Its realm's number; decides the last syllable of the name.
        count: How many entities the realm has.
        namesakes: How many entities share each word, itself included; at least 1.
        seed: The world's seed.
    """
    words = max(-(-count // namesakes), namesakes)  # so that a word meets distinct partners
    first, slot = divmod(place, namesakes)
    second = (first + slot * (words // namesakes)) % words
    endings = CLOSED_SYLLABLES[realm :: len(REALM_NAMES)]
    given = _word(first, words, CLOSED_SYLLABLES, seed, 1, realm)
    return f"{given} {_word(second, words, endings, seed, 2, realm)}"


def _word(index: int, count: int, endings: tuple[str, ...], *keys: int) -> str:
    """Word `index` of `count`: as many open syllables as the count needs, and one ending."""
    capacity, syllables = len(endings), 0
    while capacity < count or syllables < 1:
        capacity, syllables = capacity * len(OPEN_SYLLABLES), syllables + 1
    code = shuffled(index, capacity, *keys)
    code, last = divmod(code, len(endings))
    parts = []
    for _ in range(syllables):
        code, syllable = divmod(code, len(OPEN_SYLLABLES))
        parts.append(OPEN_SYLLABLES[syllable])
    return ("".join(parts) + endings[last]).capitalize()
