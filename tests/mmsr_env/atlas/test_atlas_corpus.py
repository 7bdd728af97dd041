"""Atlas as a corpus, and searching it: pages, tales that mislead, and noise as asked."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsr_env.atlas import AtlasPages, AtlasPictures, AtlasSearch, AtlasTasks, Difficulty, World
from mmsr_env.atlas.__main__ import main
from mmsr_env.atlas.corpus import entity_picture, own_page
from mmsr_env.atlas.drawing import draw_emblem
from mmsr_env.atlas.facts import ATTRIBUTES
from mmsr_env.types import ImageQuery, SearchResult

WORLD = World(200, 1)
QUIET = World(200, 1, difficulty=Difficulty(1, 1, 0.0, 0.0))


def text_search(search: AtlasSearch, query: str, k: int = 5) -> SearchResult:
    return asyncio.run(search.search_text(query, k, "?"))


def titles(result: SearchResult) -> list[str]:
    assert result.ok, result
    return [hit.title for hit in result.hits]


def test_there_is_a_page_of_every_entity_then_the_tales() -> None:
    pages = AtlasPages(WORLD)
    tales = [i for i in range(200) if WORLD.has_tale(i)]
    assert len(pages) == 200 + len(tales)
    for i in range(200):
        assert (pages[i].title, pages[i].url) == (WORLD.entity(i).name, WORLD.entity(i).url)
    assert [page.title for page in pages[200:]] == [
        f"Tales of {WORLD.entity(i).name}" for i in tales
    ]
    assert len({page.url for page in pages}) == len(pages)


def test_an_own_page_says_all_facts_once() -> None:
    orders = set()
    for i in range(200):
        entity = WORLD.entity(i)
        text = own_page(entity).text
        assert text.startswith(f"{entity.name} is a {entity.kind} of {entity.realm_name}. ")
        for attribute, value in entity.facts.items():
            assert text.count(f"Its {attribute} is {value}.") == 1
        orders.add(tuple(sorted(ATTRIBUTES, key=text.index)))
    assert len(orders) > 50


def test_a_tale_names_its_hero_more_often_and_tells_anothers_facts() -> None:
    names = {WORLD.entity(i).name: WORLD.entity(i) for i in range(200)}
    for page in AtlasPages(WORLD)[200:]:
        hero = names[page.title.removeprefix("Tales of ")]
        other = names[page.text.partition("visited by ")[2].partition(".")[0]]
        assert hero != other
        assert page.text.count(hero.name) > own_page(hero).text.count(hero.name)
        for attribute, value in other.facts.items():
            assert f"{attribute}: {value}." in page.text


def test_no_tale_is_about_its_own_hero_in_any_world() -> None:
    for seed in range(20):
        world = World(100, seed, 1, Difficulty(tales=1.0))
        for page in AtlasPages(world)[100:]:
            hero = page.title.removeprefix("Tales of ")
            assert f"visited by {hero}." not in page.text


def test_pictures_are_drawn_when_asked_for() -> None:
    pictures = AtlasPictures(WORLD)
    assert len(pictures) == 200
    picture = pictures[3]
    assert (picture.title, picture.url) == (WORLD.entity(3).name, WORLD.entity(3).url)
    assert picture.load() == draw_emblem(WORLD.entity(3).emblem) == entity_picture(WORLD, 3)


@pytest.mark.parametrize("corpus", [AtlasPages(WORLD), AtlasPictures(WORLD)])
def test_they_are_sequences(corpus: AtlasPages | AtlasPictures) -> None:
    items = [getattr(item, "url", None) for item in corpus]
    assert len(items) == len(corpus)
    assert corpus[-1].url == corpus[len(corpus) - 1].url == items[-1]
    assert corpus[np.int64(2)].url == items[2]  # type: ignore[call-overload]
    assert [item.url for item in corpus[1:9:3]] == items[1:9:3]
    for index in (len(corpus), -len(corpus) - 1):
        with pytest.raises(IndexError):
            corpus[index]


@pytest.mark.parametrize("kind", [AtlasPages, AtlasPictures])
def test_they_survive_pickling(kind: type[AtlasPages] | type[AtlasPictures]) -> None:
    corpus = kind(WORLD)
    assert pickle.loads(pickle.dumps(corpus))[5].url == copy.deepcopy(corpus)[5].url


def test_pages_and_pictures_follow_from_the_seed() -> None:
    def digest(seed: int) -> str:
        world, found = World(200, seed), hashlib.sha256()
        for page in AtlasPages(world):
            found.update(repr(page).encode())
        for picture in AtlasPictures(world)[::10]:
            found.update(picture.load().tobytes())
        return found.hexdigest()

    assert digest(0) == digest(0)
    assert len({digest(seed) for seed in range(4)}) == 4


# Searching


def test_without_noise_the_right_page_comes_first() -> None:
    search = AtlasSearch(QUIET)
    for task in AtlasTasks(QUIET, count=20, mix={"named_fact": 1.0}):
        result = text_search(search, task.question)
        assert titles(result)[0] == task.metadata["entity"]
        assert task.answers[0] in result.hits[0].text


def test_without_noise_the_right_picture_comes_first() -> None:
    search, right = AtlasSearch(QUIET), 0
    for task in AtlasTasks(QUIET, count=30, mix={"picture_fact": 1.0}):
        result = asyncio.run(search.search_image(ImageQuery(task.image), 5))
        right += titles(result)[0] == task.metadata["shown"]
        assert all(hit.image is not None for hit in result.hits)
    assert right >= 27


def misranked(share: float, count: int = 150) -> float:
    """The share of searches in which the noise moves the best hit away from the first place."""
    noisy = AtlasSearch(World(200, 1, difficulty=Difficulty(misranked=share)))
    still = AtlasSearch(World(200, 1, difficulty=Difficulty(misranked=0.0)))
    moved = 0
    for i in range(count):
        query = f"{WORLD.entity(i).name} tree"
        first, second = titles(text_search(still, query)), titles(text_search(noisy, query))
        assert sorted(first) == sorted(second)
        moved += first[0] != second[0]
        assert [title for title in second if title != first[0]] == first[1:]
    return moved / count


def test_the_best_hit_is_moved_as_often_as_asked() -> None:
    assert misranked(0.0, 30) == 0.0
    assert misranked(1.0, 30) == 1.0
    assert misranked(0.4) == pytest.approx(0.4, abs=0.12)


def test_the_same_search_gives_the_same_result() -> None:
    world = World(200, 1, difficulty=Difficulty(misranked=0.5))
    first, second = AtlasSearch(world), pickle.loads(pickle.dumps(AtlasSearch(world)))
    image = ImageQuery(AtlasTasks(world)[0].image)
    for k in (1, 2, 5):
        assert text_search(first, "Tales", k) == text_search(second, "Tales", k)
        results = [asyncio.run(s.search_image(image, k)) for s in (first, second, first)]
        assert results[0] == results[1] == results[2]
        assert len(results[0].hits) == k


@pytest.mark.parametrize("query", ["", " ", "\ud800", "x" * 100_000, "日本", "\x00"])
def test_any_query_gives_an_honest_result(query: str) -> None:
    result = text_search(AtlasSearch(WORLD), query)
    assert result.ok
    assert len(result.hits) <= 5


def test_lookalikes_bring_wrong_titles() -> None:
    """A picture search of a hard world brings the emblem's family among its hits."""
    world = World(200, 1, difficulty=Difficulty(lookalikes=4, misranked=0.0))
    together = 0
    for i in range(48, 78):
        query = ImageQuery(entity_picture(world, i))
        found = titles(asyncio.run(AtlasSearch(world).search_image(query, 5)))
        assert found[0] == world.entity(i).name
        emblem = world.entity(i).emblem
        family = {
            e.name for e in map(world.entity, range(48, 200))
            if (e.emblem.outline, e.emblem.field_colour, e.emblem.shape, e.emblem.shape_colour)
            == (emblem.outline, emblem.field_colour, emblem.shape, emblem.shape_colour)
        }  # fmt: skip
        together += len(family & set(found)) >= 3
    assert together >= 20


def test_the_contact_sheet_is_drawn(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.png", "two.png", "three.png")]
    for file, seed in zip(files, ("0", "0", "1"), strict=True):
        main(["--out", str(file), "--size", "100", "--seed", seed, "--difficulty", "hard"])
    one, two, three = (Image.open(file).convert("RGB") for file in files)
    assert one.size == (1000, 880)
    assert one.tobytes() == two.tobytes() != three.tobytes()
