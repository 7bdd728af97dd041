"""`mmsr index`: builds a search index of pages and pictures, and searches one."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsr_env.errors import InvalidSettingError, SearchIndexError
from mmsr_env.types import ImageQuery, SearchResult

if TYPE_CHECKING:
    from mmsr_env.search.local.embedder import PictureEmbedder

_EMBEDDER_HELP = (
    "a vision model of Hugging Face, its id or folder, to compare pictures with; "
    "the default is the built-in descriptor"
)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `index` with its own subcommands `build` and `search`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "index",
        help="build or search an index of pages and pictures",
        description="Local search: BM25 over pages, nearest neighbours over pictures.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_build(actions)
    _add_search(actions)


def _add_build(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser("build", help="build an index")
    parser.add_argument("pages", type=Path, help="JSON lines with url, title, text")
    parser.add_argument(
        "images",
        type=Path,
        help="JSON lines with image (a file, relative to the JSON lines), title, url",
    )
    parser.add_argument("out", type=Path, help="the folder to make")
    parser.add_argument("--embedder", metavar="MODEL", help=_EMBEDDER_HELP)
    parser.add_argument(
        "--thumbnail",
        type=int,
        default=112,
        metavar="PIXELS",
        help="longest side of the pictures that results show (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes that read and embed pictures (default: %(default)s)",
    )
    parser.set_defaults(run=_build)


def _add_search(actions: Any) -> None:
    parser: argparse.ArgumentParser = actions.add_parser("search", help="search an index")
    parser.add_argument("out", type=Path, metavar="index", help="the folder of the index")
    parser.add_argument("query", nargs="?", help="the words to search with")
    parser.add_argument("--image", type=Path, metavar="FILE", help="the picture to search with")
    parser.add_argument("-k", type=int, default=5, help="how many results (default: %(default)s)")
    parser.add_argument("--question", default="", help="steers which sentences are shown")
    parser.add_argument("--embedder", metavar="MODEL", help=_EMBEDDER_HELP)
    parser.set_defaults(run=_search)


def _build(options: argparse.Namespace) -> int:
    from mmsr_env.search.local.build import build_index
    from mmsr_env.search.local.corpus import read_pages, read_pictures

    pages, pictures = read_pages(options.pages), read_pictures(options.images)
    embedder = _embedder(options.embedder)
    build_index(pages, pictures, options.out, embedder, options.thumbnail, options.workers)
    print(f"{options.out}: {len(pages):,} pages, {len(pictures):,} pictures")
    return 0


def _search(options: argparse.Namespace) -> int:
    from mmsr_env.search.local.backend import LocalSearch

    if (options.query is None) == (options.image is None):
        raise InvalidSettingError("give either words to search with or --image FILE")
    index = LocalSearch.open(options.out, _embedder(options.embedder))
    if options.image is not None:
        result = asyncio.run(index.search_image(_read_query(options.image), options.k))
    else:
        result = asyncio.run(index.search_text(options.query, options.k, options.question))
    if not result.ok:
        raise SearchIndexError(f"the search failed: {result.detail}")
    print(format_result(result))
    return 0


def format_result(result: SearchResult) -> str:
    """A result as lines for people, best hit first."""
    lines = []
    for place, hit in enumerate(result.hits, start=1):
        size = f"  [{hit.image.width} x {hit.image.height} picture]" if hit.image else ""
        lines.append(f"{place}. {hit.title}  ({hit.score:.3f}){size}\n   {hit.url}")
        if hit.text:
            lines.append(f"   {hit.text}")
    return "\n".join(lines) or "nothing found"


def _read_query(file: Path) -> ImageQuery:
    from PIL import Image

    try:
        with Image.open(file) as picture:
            picture.load()
            return ImageQuery(picture.copy())
    except OSError as error:
        raise InvalidSettingError(f"--image {file} is no readable picture: {error}") from error


def _embedder(model: str | None) -> PictureEmbedder:
    if model is None:
        from mmsr_env.search.local.perceptual import PerceptualEmbedder

        return PerceptualEmbedder()
    from mmsr_env.search.local.hugging_face import HuggingFaceEmbedder

    return HuggingFaceEmbedder(model)
