"""Atlas, the built-in world: names, emblems, facts, pages and questions, drawn from one seed."""

from mmsr_env.atlas.corpus import AtlasPages, AtlasPictures
from mmsr_env.atlas.questions import PAPER_MIX, AtlasTasks, QuestionKind
from mmsr_env.atlas.search import AtlasSearch
from mmsr_env.atlas.world import Difficulty, Entity, Split, World, get_difficulty

__all__ = [
    "PAPER_MIX",
    "AtlasPages",
    "AtlasPictures",
    "AtlasSearch",
    "AtlasTasks",
    "Difficulty",
    "Entity",
    "QuestionKind",
    "Split",
    "World",
    "get_difficulty",
]
