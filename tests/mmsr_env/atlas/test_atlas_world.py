"""The world: unique names and emblems, fair splits, one seed, and nothing held."""

from __future__ import annotations

import copy
import hashlib
import itertools
import pickle
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsr_env.atlas import Difficulty, Entity, Split, World, get_difficulty
from mmsr_env.atlas.emblems import MAJOR, OUTLINES, Emblem
from mmsr_env.atlas.facts import ATTRIBUTES, KINDS
from mmsr_env.atlas.names import REALM_NAMES, entity_name
from mmsr_env.atlas.world import DIFFICULTIES, MAX_LOOKALIKES
from mmsr_env.errors import InvalidSettingError, UnknownNameError

worlds = st.builds(
    World,
    size=st.integers(100, 3000),
    seed=st.integers(0, 2**63),
    familiar=st.integers(1, 50),
    difficulty=st.builds(
        Difficulty, lookalikes=st.integers(1, 9), namesakes=st.integers(1, 9), tales=st.just(0.3)
    ),
)


def shares(world: World) -> Counter[Split]:
    return Counter(world.split(i) for i in range(world.size))


@pytest.mark.parametrize("size", [100, 1000, 20_000])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_names_and_emblems_are_unique(size: int, difficulty: str) -> None:
    world = World(size, 3, difficulty=get_difficulty(difficulty))
    entities = [world.entity(i) for i in range(size)]
    assert len({entity.name for entity in entities}) == size
    assert len({entity.emblem for entity in entities}) == size
    assert len({entity.url for entity in entities}) == size


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_million_names_sampled_are_unique(difficulty: str) -> None:
    world = World(1_000_000, difficulty=get_difficulty(difficulty))
    places = {*range(5000), *range(0, 1_000_000, 97), *range(995_000, 1_000_000)}
    entities = [world.entity(i) for i in places]
    assert len({entity.name for entity in entities}) == len(places)
    assert len({entity.emblem for entity in entities}) == len(places)


@pytest.mark.slow
def test_a_million_names_are_unique() -> None:
    world = World(1_000_000)
    names, emblems = set(), set()
    for i in range(world.size):
        entity = world.entity(i)
        names.add(entity.name)
        emblems.add(hash(entity.emblem))
    assert len(names) == world.size
    assert len(emblems) > world.size - 10  # 64-bit hashes may meet by chance


@given(worlds)
def test_names_are_unique_whatever_the_settings(world: World) -> None:
    sample = range(0, world.size, max(1, world.size // 300))
    assert len({world.entity(i).name for i in sample}) == len(sample)


@given(st.integers(1, 400), st.integers(1, 12), st.integers(0, 4), st.integers(0, 2**40))
def test_no_two_entities_share_both_words(
    count: int, namesakes: int, realm: int, seed: int
) -> None:
    names = [entity_name(place, realm, count, namesakes, seed) for place in range(count)]
    assert len(set(names)) == count
    for word in (0, 1):
        sharing = Counter(name.split()[word] for name in names)
        assert max(sharing.values()) <= namesakes


def test_names_are_two_words_of_letters() -> None:
    for i in range(1000):
        first, second = World().entity(i).name.split(" ")
        assert first.isalpha()
        assert second.isalpha()
        assert first.istitle()
        assert second.istitle()


def test_the_end_of_a_name_and_the_outline_tell_the_realm() -> None:
    """The regularity that makes familiarity learnable, and holds for entities never seen."""
    world, endings = World(20_000), defaultdict(set)
    for i in range(world.size):
        entity = world.entity(i)
        ending = entity.name[-4:] if entity.name.endswith("th") else entity.name[-3:]
        endings[entity.realm].add(ending.lower())
        assert entity.emblem.outline == OUTLINES[entity.realm]
        assert entity.realm_name == REALM_NAMES[entity.realm]
    assert set(endings) == set(range(5))
    for one, other in itertools.combinations(endings.values(), 2):
        assert not one & other


def test_the_home_realm_comes_first_and_the_others_in_turn() -> None:
    world = World(500, familiar=7)
    assert [world.entity(i).realm for i in range(13)] == [0] * 7 + [1, 2, 3, 4, 1, 2]
    assert {world.split(i) for i in range(7)} == {Split.HOME}


def test_facts_are_one_value_for_each_attribute() -> None:
    seen = defaultdict(set)
    for i in range(1000):
        entity = World().entity(i)
        assert tuple(entity.facts) == tuple(ATTRIBUTES)
        assert entity.kind in KINDS
        for attribute, value in entity.facts.items():
            assert value in ATTRIBUTES[attribute]
            seen[attribute].add(value)
    assert all(seen[name] == set(values) for name, values in ATTRIBUTES.items())
    values = [value for values in ATTRIBUTES.values() for value in values]
    assert len(values) == len(set(values))
    assert all(value.isalpha() and value.islower() for value in values)


def test_facts_do_not_depend_on_each_other() -> None:
    """Knowing one fact says nothing of another: each pair of values is about equally frequent."""
    pairs = Counter(
        (world_facts["beast"], world_facts["tree"])
        for world_facts in (World(20_000).entity(i).facts for i in range(20_000))
    )
    assert len(pairs) == 24 * 24
    assert max(pairs.values()) < 3 * 20_000 / (24 * 24)


# Splits


@pytest.mark.parametrize("size", [1000, 20_000])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_splits_have_the_promised_shares(size: int, difficulty: str) -> None:
    found = shares(World(size, difficulty=get_difficulty(difficulty)))
    foreign = size - 48
    assert found[Split.HOME] == 48
    assert found[Split.TEST] / foreign == pytest.approx(0.1, abs=0.01)
    assert found[Split.VALIDATION] / foreign == pytest.approx(0.1, abs=0.01)


@given(worlds)
def test_every_split_of_every_world_has_entities(world: World) -> None:
    assert set(shares(world)) == set(Split)


def test_every_split_of_the_smallest_worlds_has_entities() -> None:
    for seed, alike in itertools.product(range(30), (1, 4, 50, MAX_LOOKALIKES)):
        assert len(shares(World(100, seed, 50, Difficulty(lookalikes=alike)))) == 4


@pytest.mark.parametrize(("size", "alike"), [(2000, 1), (2000, 4), (60_000, 1), (100_000, 2)])
def test_what_looks_alike_is_in_one_split(size: int, alike: int) -> None:
    """Even where the world has more entities than there are emblems that differ at a glance."""
    world, splits = World(size, difficulty=Difficulty(lookalikes=alike)), defaultdict(set)
    step = max(1, size // 20_000)
    for i in range(48, size, step):
        emblem = world.entity(i).emblem
        glance = (emblem.outline, emblem.field_colour, emblem.shape, emblem.shape_colour,
                  emblem.count, emblem.arrangement)  # fmt: skip
        splits[glance].add(world.split(i))
    assert all(len(found) == 1 for found in splits.values())
    if size > 4 * MAJOR * alike:
        assert len(splits) < size // step - 48


def test_splits_follow_from_the_seed() -> None:
    first, second = (
        [World(1000, seed).split(i) for i in range(1000)] for seed in (0, 1)
    )  # fmt: skip
    assert first != second
    assert first == [World(1000, 0).split(i) for i in range(1000)]


# Seeds and values


def digest(world: World) -> str:
    found = hashlib.sha256()
    for i in range(0, world.size, 7):
        found.update(repr((world.entity(i), world.split(i), world.has_tale(i))).encode())
    return found.hexdigest()


def test_the_same_seed_gives_the_same_world_and_another_another() -> None:
    digests = {digest(World(1000, seed)) for seed in range(10)}
    assert len(digests) == 10
    assert digest(World(1000, 4)) == digest(World(1000, 4)) == digest(World(1000, np.int64(4)))


def test_a_world_does_not_change_between_releases() -> None:
    """Recorded from this version: a change means that published results no longer compare."""
    assert World().entity(500) == Entity(
        index=500,
        name="Rezur Bohar",
        kind="river",
        realm=1,
        emblem=Emblem(
            "square", "black", "star", "blue", "one", "line", "right", "white", "ring", "red",
            "lower right",
        ),
        facts={"beast": "raven", "tree": "hawthorn", "stone": "agate", "dish": "waffle",
               "craft": "dyeing", "instrument": "oboe"},
    )  # fmt: skip
    assert World(seed=1).entity(500).name == "Zovan Sebal"


def test_a_world_of_a_million_is_made_at_once_and_holds_nothing() -> None:
    world = World(1_000_000)
    assert len(pickle.dumps(world)) < 1000
    assert world.entity(999_999) == world.entity(999_999)


def test_worlds_are_values() -> None:
    world = World(1000, 3, difficulty=get_difficulty("hard"))
    assert pickle.loads(pickle.dumps(world)) == copy.deepcopy(world) == world
    assert hash(world) == hash(copy.deepcopy(world))
    assert World(1000, 3) != world


def test_entities_are_asked_for_by_any_integer_in_range() -> None:
    world = World(200)
    assert world.entity(np.int64(150)) == world.entity(150)  # type: ignore[arg-type]
    for index in (-1, 200):
        with pytest.raises(IndexError):
            world.entity(index)
        with pytest.raises(IndexError):
            world.split(index)


# Settings


@pytest.mark.parametrize("settings", [
    {"size": 99}, {"size": 1_000_001}, {"familiar": 0}, {"size": 100, "familiar": 51},
])  # fmt: skip
def test_sizes_are_checked(settings: dict[str, int]) -> None:
    with pytest.raises(InvalidSettingError, match=r"world\."):
        World(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [
    {"lookalikes": 0}, {"lookalikes": MAX_LOOKALIKES + 1}, {"namesakes": 0},
    {"tales": -0.1}, {"tales": 1.1}, {"misranked": 2.0}, {"misranked": float("nan")},
])  # fmt: skip
def test_difficulties_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidSettingError, match=r"difficulty\."):
        Difficulty(**settings)  # type: ignore[arg-type]


def test_difficulties_are_chosen_by_name_and_grow() -> None:
    easy, medium, hard = (get_difficulty(name) for name in ("easy", "medium", "hard"))
    for name in ("lookalikes", "namesakes", "tales", "misranked"):
        assert getattr(easy, name) < getattr(medium, name) < getattr(hard, name)
    assert medium == Difficulty()
    with pytest.raises(UnknownNameError, match="Did you mean 'easy'"):
        get_difficulty("esay")


@pytest.mark.parametrize(("namesakes", "lookalikes"), [(1, 1), (3, 2), (5, 4)])
def test_namesakes_and_lookalikes_are_as_many_as_asked(namesakes: int, lookalikes: int) -> None:
    world = World(2000, difficulty=Difficulty(lookalikes, namesakes))
    for realm in range(1, 5):
        entities = [e for e in map(world.entity, range(2000)) if e.realm == realm]
        first = Counter(entity.name.split()[0] for entity in entities)
        assert Counter(first.values()).most_common(1)[0][0] == namesakes
        alike = Counter(
            (e.emblem.field_colour, e.emblem.shape, e.emblem.shape_colour, e.emblem.count,
             e.emblem.arrangement) for e in entities
        )  # fmt: skip
        assert Counter(alike.values()).most_common(1)[0][0] == lookalikes


@pytest.mark.parametrize("tales", [0.0, 0.3, 1.0])
def test_tales_are_as_frequent_as_asked(tales: float) -> None:
    world = World(5000, difficulty=Difficulty(tales=tales))
    share = sum(map(world.has_tale, range(world.size))) / world.size
    assert share == pytest.approx(tales, abs=0.02)
