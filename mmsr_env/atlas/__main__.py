"""`python -m mmsr_env.atlas` draws a contact sheet of a world: emblems, photographs, pages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from PIL import Image, ImageDraw

from mmsr_env.atlas.chance import generator
from mmsr_env.atlas.corpus import own_page
from mmsr_env.atlas.drawing import SIDE, draw_emblem, photograph
from mmsr_env.atlas.questions import fact_question, visible_question
from mmsr_env.atlas.world import DIFFICULTIES, Entity, World, get_difficulty
from mmsr_env.lettering import Lettering, Run
from mmsr_env.types import Picture

_WIDTH, _GAP = 1000, 12
_INK, _FAINT, _BLUE = (30, 30, 34), (110, 110, 116), (30, 70, 170)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the sheet; the arguments say of which world and where."""
    parser = argparse.ArgumentParser(prog="python -m mmsr_env.atlas", description=__doc__)
    parser.add_argument("--out", default="atlas.png", help="the PNG to write")
    parser.add_argument("--size", type=int, default=1000, help="entities in the world")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", choices=DIFFICULTIES, default="medium")
    chosen = parser.parse_args(argv)
    world = World(chosen.size, chosen.seed, difficulty=get_difficulty(chosen.difficulty))
    contact_sheet(world).save(chosen.out)


def contact_sheet(world: World) -> Picture:
    """Two familiar entities, two of one foreign family, and one of each other realm."""
    start = world.familiar
    places = (0, 1, start, start + 4, start + 1, start + 2, start + 3)
    height = SIDE + _GAP
    sheet = Image.new("RGB", (_WIDTH, height * len(places) + _GAP), (255, 255, 255))
    for row, index in enumerate(places):
        _draw_row(sheet, world, index, row * height + _GAP)
    return sheet


def _draw_row(sheet: Picture, world: World, index: int, top: int) -> None:
    entity = world.entity(index)
    clean = draw_emblem(entity.emblem)
    seen = photograph(clean, generator(world.seed, 30, index))
    sheet.paste(clean, (_GAP, top))
    sheet.paste(seen, (SIDE + 2 * _GAP, top))
    lettering, left = Lettering(14), 2 * SIDE + 4 * _GAP
    lines = lettering.wrap(_text(world, entity), _WIDTH - left - _GAP, 6)
    lettering.draw(ImageDraw.Draw(sheet), left, top, lines)


def _text(world: World, entity: Entity) -> list[Run]:
    looking, seen = visible_question(entity.emblem, entity.index)
    asking, fact = fact_question(entity, entity.index, by_name=False)
    where = f"   {entity.realm_name}, split: {world.split(entity.index)}\n"
    return [
        Run(entity.name, _INK, bold=True),
        Run(where, _FAINT),
        Run(own_page(entity).text + "\n", _INK),
        Run(f"{looking} {seen}.   {asking} {fact}.", _BLUE),
    ]


if __name__ == "__main__":
    main()
