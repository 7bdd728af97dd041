"""The world of Atlas: its entities, all of them following from one seed, none of them held."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from enum import StrEnum

from mmsr_env.atlas.chance import chance, draw, shuffled
from mmsr_env.atlas.emblems import MAJOR, Emblem, make_emblem
from mmsr_env.atlas.facts import ATTRIBUTES, KINDS
from mmsr_env.atlas.names import REALM_NAMES, entity_name
from mmsr_env.errors import InvalidSettingError
from mmsr_env.registry import look_up

MIN_SIZE, MAX_SIZE = 100, 1_000_000
MAX_LOOKALIKES = 1000  # a family must fit into the small differences that emblems can have


class Split(StrEnum):
    """Which entities a task set may ask about where a search is needed."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    HOME = "home"  # the familiar ones, common to all task sets


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes search and reading hard.

    Attributes:
        lookalikes: Emblems come in families of this size, so that a picture search brings
            wrong titles; 1 for none, at most 1,000. A world with more than 21,504 * lookalikes
            foreign entities has larger families, since there are no more emblems than that
            which differ at a glance.
        namesakes: How many entities share each word of a name; 1 for none.
        tales: Share of the entities with a second page that names them more often than their
            own, and tells facts of another entity instead.
        misranked: Share of the searches in which the best hit does not come first.
    """

    lookalikes: int = 2
    namesakes: int = 3
    tales: float = 0.3
    misranked: float = 0.2

    def __post_init__(self) -> None:
        for name in ("lookalikes", "namesakes"):
            if getattr(self, name) < 1:
                raise InvalidSettingError(f"difficulty.{name} must be 1 or more, got {self}")
        if self.lookalikes > MAX_LOOKALIKES:
            raise InvalidSettingError(
                f"difficulty.lookalikes must be at most {MAX_LOOKALIKES}, got {self}"
            )
        for name in ("tales", "misranked"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidSettingError(f"difficulty.{name} must lie in [0, 1], got {self}")


DIFFICULTIES = {
    "easy": Difficulty(lookalikes=1, namesakes=1, tales=0.0, misranked=0.0),
    "medium": Difficulty(),
    "hard": Difficulty(lookalikes=4, namesakes=5, tales=0.6, misranked=0.4),
}


def get_difficulty(name: str) -> Difficulty:
    """The difficulty of that name: "easy", "medium" or "hard".

    Raises:
        UnknownNameError: There is none.
    """
    return look_up("difficulty", name, DIFFICULTIES)


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing in the world.

    Attributes:
        index: Its number in the world.
        name: Two words, unique in the world.
        kind: What sort of thing it is.
        realm: The realm's number; 0 is the home realm, whose entities are familiar.
        emblem: What its picture shows.
        facts: Attribute -> value, one value for each attribute.
    """

    index: int
    name: str
    kind: str
    realm: int
    emblem: Emblem
    facts: dict[str, str]

    @property
    def realm_name(self) -> str:
        return REALM_NAMES[self.realm]

    @property
    def url(self) -> str:
        return f"https://atlas.example/{self.name.replace(' ', '_')}"


@dataclass(frozen=True, slots=True)
class World:
    """A procedural encyclopedia.

    Entities 0 to `familiar` - 1 are the home realm: what a model is taught by heart. Their
    round emblems and the endings of their names tell them from everything else, so that
    whether a thing is familiar can be learned and holds for things never seen before. The
    others belong to four foreign realms in turn, and to one split each.

    Attributes:
        size: How many entities there are, 100 to 1,000,000.
        seed: What everything follows from.
        familiar: The size of the home realm.
        difficulty: What makes search hard.
    """

    size: int = 1000
    seed: int = 0
    familiar: int = 48
    difficulty: Difficulty = field(default_factory=Difficulty)

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise InvalidSettingError(
                f"world.size must lie in [{MIN_SIZE}, {MAX_SIZE}], got {self.size!r}"
            )
        if not 1 <= self.familiar <= self.size // 2:
            raise InvalidSettingError(
                f"world.familiar must lie in [1, size // 2], got {self.familiar!r}"
            )

    def entity(self, index: int) -> Entity:
        """The entity of that number, 0 <= index < size."""
        index = self._checked(index)
        realm, place, count = self._realm(index)
        hard = self.difficulty
        namesakes = hard.namesakes if realm else 1
        return Entity(
            index,
            entity_name(place, realm, count, namesakes, self.seed),
            KINDS[draw(self.seed, 3, index) % len(KINDS)],
            realm,
            make_emblem(place, realm, hard.lookalikes if realm else 1, self.seed),
            self._facts(index),
        )

    def split(self, index: int) -> Split:
        """Which split an entity belongs to.

        Of the families of lookalikes a tenth, and at least one, is test, as many are
        validation, the others train: no test emblem has its like in training.
        """
        index = self._checked(index)
        if index < self.familiar:
            return Split.HOME
        family, families = self._family(index)
        rank, tenth = shuffled(family, families, self.seed, 5), max(1, families // 10)
        if rank < tenth:
            return Split.TEST
        return Split.VALIDATION if rank < 2 * tenth else Split.TRAIN

    def _facts(self, index: int) -> dict[str, str]:
        code, facts = draw(self.seed, 4, index), {}
        for attribute, values in ATTRIBUTES.items():
            code, choice = divmod(code, len(values))
            facts[attribute] = values[choice]
        return facts

    def has_tale(self, index: int) -> bool:
        """Whether an entity has a second page that tells another one's facts."""
        return chance(self.seed, 6, index) < self.difficulty.tales

    def _checked(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(f"entity {index} of a world of {self.size}")
        return operator.index(index)

    def _realm(self, index: int) -> tuple[int, int, int]:
        """An entity's realm, its place in it, and how many entities the realm has."""
        if index < self.familiar:
            return 0, index, self.familiar
        foreign = len(REALM_NAMES) - 1
        place, realm = divmod(index - self.familiar, foreign)
        return realm + 1, place, -(-(self.size - self.familiar) // foreign)

    def _family(self, index: int) -> tuple[int, int]:
        """The number of a foreign entity's family of lookalikes, and how many families exist."""
        foreign, alike = len(REALM_NAMES) - 1, self.difficulty.lookalikes
        realm, place, _ = self._realm(index)
        counts = ((self.size - self.familiar + gone) // foreign for gone in range(foreign))
        families = sum(min(-(-count // alike), MAJOR) for count in counts)
        return (place // alike) % MAJOR * foreign + realm - 1, families
