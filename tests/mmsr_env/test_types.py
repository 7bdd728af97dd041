"""The plain values and the errors: frozen, comparable, and fit to cross a process boundary."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from PIL import Image

from mmsr_env import errors, types
from mmsr_env.errors import MissingExtraError, MMSRError, UnknownNameError
from mmsr_env.types import (
    Action,
    ActionKind,
    Category,
    Hit,
    ImageQuery,
    Message,
    SearchResult,
    StopReason,
    Task,
    Trajectory,
    Turn,
)

PICTURE = Image.new("RGB", (3, 2), "red")
TASK = Task("t", "q?", PICTURE, ("a", "b"), Category.SEARCH_FREE, metadata={"k": 1})
SEARCH = Action(ActionKind.SEARCH_TEXT, "query", "why")
ANSWER = Action(ActionKind.ANSWER, "a", "so")
OPENING = Message("user", (PICTURE, "q?"))


def trajectory(
    *turns: Turn, reason: StopReason = StopReason.ANSWERED, **parts: float
) -> Trajectory:
    return Trajectory(TASK, OPENING, turns, 0.5, parts, reason)


VALUES = [
    TASK,
    SEARCH,
    ImageQuery(PICTURE, "t"),
    Hit("title", "url", "text", PICTURE, 0.5),
    SearchResult((Hit("title"),)),
    SearchResult.failed("timeout", "It took too long."),
    OPENING,
    Turn("text", SEARCH, SearchResult(), OPENING),
    trajectory(Turn("text", ANSWER), score=1.0),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_survive_pickling_and_copying(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_frozen_and_slotted(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
    assert not hasattr(value, "__dict__")


def test_every_dataclass_here_is_frozen() -> None:
    classes = [c for c in vars(types).values() if isinstance(c, type)]
    for cls in filter(dataclasses.is_dataclass, classes):
        assert cls.__dataclass_params__.frozen, cls
        assert "__slots__" in vars(cls), cls


def test_a_message_gives_its_text_and_its_pictures_in_order() -> None:
    other = Image.new("RGB", (1, 1))
    message = Message("user", ("a", PICTURE, "b", other, "c"))
    assert message.text == "abc"
    assert message.images == (PICTURE, other)
    assert Message("user", ()).text == ""


def test_an_action_is_well_formed_where_it_has_no_problem() -> None:
    assert SEARCH.well_formed
    assert not Action(ActionKind.ANSWER, "a", problem="no reason").well_formed


def test_a_failed_result_has_no_hits() -> None:
    result = SearchResult.failed("timeout", "It took too long.")
    assert result == SearchResult((), False, "timeout", "It took too long.")
    assert SearchResult().ok


def test_a_trajectory_counts_its_searches() -> None:
    failed = SearchResult.failed("timeout")
    ended = trajectory(
        Turn("1", SEARCH, SearchResult(), OPENING),
        Turn("2", SEARCH, failed, OPENING),
        Turn("3", Action(ActionKind.MALFORMED, problem="?"), reply=OPENING),
        Turn("4", ANSWER),
        score=1.0,
        format=0.0,
    )
    assert (ended.searches, ended.failed_searches) == (2, 1)
    assert (ended.answer, ended.correct, ended.format_kept) == ("a", True, False)
    assert not ended.truncated


def test_a_trajectory_without_an_answer_has_an_empty_one() -> None:
    for turns in ((), (Turn("1", SEARCH),)):
        ended = trajectory(*turns, reason=StopReason.CUT_OFF)
        assert ended.answer == ""
        assert not ended.correct
        assert ended.truncated


ERRORS = [
    UnknownNameError("grammar", "mmsearch_r2", {"mmsearch_r1": 1, "other": 2}),
    MissingExtraError("faiss", "index", "A dense index"),
    errors.InvalidSettingError("x must be 1"),
    errors.EpisodeOrderError("submit: no"),
    errors.TaskDataError("row 3"),
    errors.SearchIndexError("no index"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_cross_a_process_boundary(error: MMSRError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error) == str(copy.copy(error))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_ours_and_the_standard_librarys(error: MMSRError) -> None:
    assert isinstance(error, MMSRError)
    assert any(base.__module__ == "builtins" for base in type(error).__mro__[2:-3])


def test_an_unknown_name_comes_with_the_nearest() -> None:
    text = str(UnknownNameError("grammar", "mmsearch_r2", ["mmsearch_r1", "other"]))
    assert text == (
        "no grammar is named 'mmsearch_r2'. Did you mean 'mmsearch_r1'? Known: mmsearch_r1, other."
    )
    assert "Did you mean" not in str(UnknownNameError("grammar", "zzz", ["mmsearch_r1"]))
    assert "None" in str(UnknownNameError("grammar", None, ["mmsearch_r1"]))  # type: ignore[arg-type]


def test_a_missing_extra_says_how_to_install_it() -> None:
    text = str(MissingExtraError("faiss", "index", "A dense index"))
    assert text == "A dense index needs faiss: pip install 'mmsr[index]'"
