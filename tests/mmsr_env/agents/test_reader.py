"""The reader is the world's own test: what needs a search can be found out by rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmsr_env.agents.comparing import likest
from mmsr_env.agents.looking import look
from mmsr_env.agents.questions import FactQuestion
from mmsr_env.agents.reader import stated_fact
from mmsr_env.agents.registry import make_agent
from mmsr_env.agents.writing import TextHit
from mmsr_env.atlas import AtlasSearch, AtlasTasks, World, get_difficulty
from mmsr_env.atlas.drawing import draw_emblem, photograph
from mmsr_env.atlas.emblems import BANDS, COLOURS, MARKS, random_emblem
from mmsr_env.episode import Episode
from mmsr_env.protocol.prompts import PROMPTS
from mmsr_env.rollout import run_many


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("kind", ["picture_fact", "named_fact"])
async def test_the_reader_is_right_where_a_search_is_needed(difficulty: str, kind: str) -> None:
    world = World(1000, difficulty=get_difficulty(difficulty))
    tasks = AtlasTasks(world, "test", 100, mix={kind: 1.0})
    prompts = PROMPTS["compact" if kind == "named_fact" else "mmsearch_r1"]
    episodes = (Episode(task, prompts=prompts) for task in tasks)
    ended = await run_many(episodes, make_agent("reader"), AtlasSearch(world))
    assert all(t.format_kept for t in ended)
    assert {t.searches for t in ended} == {2 if kind == "picture_fact" else 1}
    assert sum(t.correct for t in ended) >= 95


async def test_the_oracle_gets_the_reward_of_each_kind() -> None:
    world = World(200)
    tasks = AtlasTasks(world, "train", 120)
    episodes = (Episode(task) for task in tasks)
    ended = await run_many(episodes, make_agent("oracle"), AtlasSearch(world))
    rewards = {"picture_fact": 0.91, "named_fact": 0.91, "visible": 1.0, "familiar": 1.0}
    assert {t.task.kind: pytest.approx(t.reward) for t in ended} == rewards
    assert all(t.reward == pytest.approx(rewards[t.task.kind]) for t in ended)


@pytest.mark.parametrize("number", range(8))
def test_twins_are_told_apart_by_their_marks(number: int) -> None:
    """Emblems that differ in band, mark or outline alone, each found from its photograph."""
    plain = replace(random_emblem(number), band="", band_colour="", mark="", mark_colour="")
    colour = next(c for c in COLOURS if c not in (plain.field_colour, plain.shape_colour))
    twins = [plain]
    twins += [replace(plain, band=band, band_colour=colour) for band in BANDS]
    twins += [
        replace(plain, mark=mark, mark_colour=colour, corner="upper left") for mark in MARKS[:1]
    ]
    pictures = [draw_emblem(twin) for twin in twins]
    rng = np.random.default_rng(number)
    found = [likest(photograph(picture, rng), pictures) for picture in pictures]
    assert found == list(range(len(pictures)))


def test_of_equal_pictures_the_first_is_likest_and_sizes_do_not_matter() -> None:
    one, other = (draw_emblem(random_emblem(i)) for i in (1, 2))
    assert likest(one, [other, one, one]) == 1
    assert likest(one.resize((300, 300)), [other.resize((20, 20)), one.resize((60, 60))]) == 1
    flat = Image.new("RGB", (8, 8), "red")
    assert likest(flat, [flat, flat]) == 0


def test_colours_are_seen_in_photographs() -> None:
    right = {"ground": 0, "shapes": 0}
    for number in range(200):
        emblem = random_emblem(number)
        picture = photograph(draw_emblem(emblem), np.random.default_rng(number))
        ground = look(picture, "What colour is the ground of the emblem?")
        shapes = look(picture, "What colour are the shapes on the emblem?")
        right["ground"] += ground == emblem.field_colour
        right["shapes"] += shapes == emblem.shape_colour
    assert right["ground"] >= 190
    assert right["shapes"] >= 180
    assert look(Image.new("RGB", (9, 9)), "How many shapes are on the emblem?") == "unknown"


def test_a_fact_is_read_from_the_page_of_that_very_name() -> None:
    asked = FactQuestion("tree", "Ona Bel")
    page = TextHit("Ona Bel", "Ona Bel is a moth. Its treetop is no fact. Its tree is elm.")
    tale = TextHit("Tales of Ona Bel", "Its tree is oak.")
    namesake = TextHit("Ona Belis", "Its tree is fir.")
    assert stated_fact([tale, namesake, page], asked) == "elm"
    assert stated_fact([tale, namesake], asked) == ""
    assert stated_fact([page], FactQuestion("dish", "Ona Bel")) == ""
