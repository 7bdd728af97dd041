"""What the model is told at each turn, as data.

The content follows MMSearch-R1 (arXiv 2506.20670): one template for the first turn, one after
an image search, one after a text search. The words are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mmsr_env.protocol.grammar import INFORMATION
from mmsr_env.protocol.sanitize import sanitize, sanitize_line
from mmsr_env.registry import look_up
from mmsr_env.types import Block, Hit, Message, SearchResult, Task

_TITLE_CHARS = 200
_URL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Prompts:
    """The templates of one prompt set; `{question}` and the other fields are filled in.

    Attributes:
        name: The name it is chosen by.
        first: After the task's picture, in the first message. Fields: question, turns,
            searches.
        after_image: After an image search's results. Fields: question, turns, searches (how
            many text searches may still follow).
        after_text: After a text search's results. Fields: as above.
        feedback: After a malformed turn, under the rule "feedback". Fields: question, turns,
            searches (how many are left of any sort), problem.
        image_hit: One image result, after its picture. Fields: rank, title, url.
        text_hit: One text result. Fields: rank, title, url, text.
        separator: Between results.
        nothing: In place of results where a search found none.
        failed: In place of results where a search failed.
    """

    name: str
    first: str
    after_image: str
    after_text: str
    feedback: str
    image_hit: str
    text_hit: str
    separator: str
    nothing: str
    failed: str

    def opening(self, task: Task, turns: int, searches: int) -> Message:
        """The first message: the picture, then the question and the rules."""
        text = self.first.format(question=task.question, turns=turns, searches=searches)
        return Message("user", (task.image, text))

    def image_results(
        self, result: SearchResult, task: Task, turns: int, searches: int, max_chars: int
    ) -> Message:
        """The message after an image search: each picture, then its title."""
        blocks: list[Block] = [INFORMATION[0]]
        for rank, hit in enumerate(result.hits, 1):
            if rank > 1:
                blocks.append(self.separator)
            if hit.image is not None:
                blocks.append(hit.image)
            blocks.append(_fill(self.image_hit, rank, hit, max_chars))
        blocks.append(self._absent(result) + INFORMATION[1])
        blocks.append(
            self.after_image.format(question=task.question, turns=turns, searches=searches)
        )
        return Message("user", _join(blocks))

    def text_results(
        self, result: SearchResult, task: Task, turns: int, searches: int, max_chars: int
    ) -> Message:
        """The message after a text search: numbered passages, each with its source."""
        hits = (
            _fill(self.text_hit, rank, hit, max_chars) for rank, hit in enumerate(result.hits, 1)
        )
        body = self.separator.join(hits) + self._absent(result)
        after = self.after_text.format(question=task.question, turns=turns, searches=searches)
        return Message("user", (f"{INFORMATION[0]}{body}{INFORMATION[1]}{after}",))

    def correction(self, problem: str, task: Task, turns: int, searches: int) -> Message:
        """The message after a malformed turn: what was wrong, and what is left."""
        text = self.feedback.format(
            problem=problem, question=task.question, turns=turns, searches=searches
        )
        return Message("user", (text,))

    def _absent(self, result: SearchResult) -> str:
        if not result.ok:
            return self.failed
        return "" if result.hits else self.nothing


def _fill(template: str, rank: int, hit: Hit, max_chars: int) -> str:
    return template.format(
        rank=rank,
        title=sanitize_line(hit.title, _TITLE_CHARS),
        url=sanitize_line(hit.url, _URL_CHARS),
        text=sanitize(hit.text, max_chars),
    )


def _join(blocks: list[Block]) -> tuple[Block, ...]:
    """The same content with neighbouring texts joined into one block."""
    joined: list[Block] = []
    for block in blocks:
        if isinstance(block, str) and joined and isinstance(joined[-1], str):
            joined[-1] += block
        elif block != "":
            joined.append(block)
    return tuple(joined)


_FIRST = """
Answer the question about the picture. You have {turns} turns and may search {searches} times.

Begin each turn with your reasoning inside <reason> and </reason>: what can be recognised in \
the picture, what the question needs, and whether you know it. Then end the turn with exactly \
one of these:
- <search><img></search> searches the web with the picture. Use it, in the first turn only, \
when you do not know what the picture mainly shows.
- <text_search>query</text_search> searches the web with words. Use it when you know what is \
meant but not the fact that is asked for. Write a short, specific query.
- <answer>answer</answer> gives the final answer, as briefly as possible. Answer at once when \
you know it; search only when you must.
Results of a search come back inside <information> and </information>.

Question: {question}"""

_AFTER_IMAGE = """
Above are pictures like yours from the web, each with its title. Reason again inside <reason> \
and </reason>: do they tell what the picture shows, and does that settle the question? If a \
fact is still missing and you may search ({searches} left), end the turn with \
<text_search>query</text_search>; otherwise end it with <answer>answer</answer>.

Question: {question}"""

_AFTER_TEXT = """
Above are passages from web pages, each with its source. Reason again inside <reason> and \
</reason>, then end the turn with <answer>answer</answer>, as briefly as possible. If what you \
have is not enough, search once more if you may ({searches} left), or say so in the answer.

Question: {question}"""

_FEEDBACK = """\
Your last message could not be used: {problem}. You have {turns} turns and {searches} searches \
left. Begin with <reason>...</reason> and end with exactly one action.

Question: {question}"""

MMSEARCH_R1 = Prompts(
    name="mmsearch_r1",
    first=_FIRST,
    after_image=_AFTER_IMAGE,
    after_text=_AFTER_TEXT,
    feedback=_FEEDBACK,
    image_hit="\n{rank}. {title}",
    text_hit="\n{rank}. {title} ({url})\n{text}",
    separator="\n",
    nothing="\nNothing was found.\n",
    failed="\nThe search failed: the service did not answer.\n",
)

COMPACT = Prompts(
    name="compact",
    first=" {question}",
    after_image=" {question}",
    after_text=" {question}",
    feedback=" {problem}. {question}",
    image_hit=" {title}",
    text_hit=" {title}: {text}",
    separator="\n",
    nothing=" nothing",
    failed=" failed",
)
"""For models too small for instructions: the question alone, and results at their barest."""

PROMPTS: Mapping[str, Prompts] = MappingProxyType({p.name: p for p in (MMSEARCH_R1, COMPACT)})


def get_prompts(name: str) -> Prompts:
    """The prompt set of that name.

    Raises:
        UnknownNameError: There is none; the message names the nearest.
    """
    return look_up("prompt set", name, PROMPTS)
