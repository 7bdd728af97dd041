"""Where an environment's tasks and search results come from: from what stands for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mmsr_env.errors import InvalidSettingError
from mmsr_env.search.base import SearchBackend
from mmsr_env.settings import make_world
from mmsr_env.tasks.base import NamedTasks, TaskSet, named
from mmsr_env.tasks.loading import load_tasks
from mmsr_env.types import Task

if TYPE_CHECKING:
    from mmsr_env.atlas import World

ATLAS = "atlas"
TaskSource: TypeAlias = "str | Path | Mapping[str, Any] | Sequence[Task] | TaskSet"
SearchSource: TypeAlias = "str | Path | SearchBackend | None"
WorldSource: TypeAlias = "World | Mapping[str, Any] | None"


def make_sources(
    tasks: TaskSource, search: SearchSource, world: WorldSource
) -> tuple[TaskSet, SearchBackend | None]:
    """The task set and the search that goes with it.

    Args:
        tasks: As `load_tasks` takes it; or a mapping of "spec" and what that task set takes
            besides; or any sequence of tasks.
        search: A backend; the folder of an index; "atlas"; or None for the world that the
            tasks are about.
        world: The Atlas world of those that are Atlas by name; None for the default one.

    Returns:
        The task set, and the search: None where none was given and the tasks bring none.

    Raises:
        UnknownNameError: A name is not known; the message offers the nearest.
        InvalidSettingError: A value is not one of these, or a world is given that nothing reads.
        TaskDataError: There are no tasks, or their file is not in the form it should have.
        SearchIndexError: The index cannot be read.
    """
    spec, settings = _split(tasks)
    if world is not None:
        world = make_world(world)
        if ATLAS not in (spec, search):
            raise InvalidSettingError("world is given, but neither tasks nor search is 'atlas'")
    if spec == ATLAS:
        settings = {"world": world, **settings}
    if isinstance(spec, str | Path):
        task_set = load_tasks(spec, **settings)
    else:
        task_set = named(spec, "tasks")
    if len(task_set) == 0:
        raise InvalidSettingError("tasks must hold at least one task, got none")
    return task_set, _make_search(search, _world_of(task_set) if world is None else world)


def _split(tasks: TaskSource) -> tuple[str | Path | Sequence[Task] | TaskSet, dict[str, Any]]:
    """What names the tasks, and the settings that go with the name."""
    if isinstance(tasks, Mapping):
        settings = {str(key): value for key, value in tasks.items()}
        if not isinstance(settings.get("spec"), str | Path):
            raise InvalidSettingError(
                f"tasks as a mapping needs 'spec', a name or path; got {tasks}"
            )
        return settings.pop("spec"), settings
    if isinstance(tasks, str | Path | TaskSet | Sequence):
        return tasks, {}
    raise InvalidSettingError(
        f"tasks must be a name, a path, a mapping or a sequence of tasks, "
        f"got {type(tasks).__name__}"
    )


def _make_search(search: SearchSource, world: World | None) -> SearchBackend | None:
    if search == ATLAS or (search is None and world is not None):
        from mmsr_env.atlas import AtlasSearch

        return AtlasSearch(make_world(world))
    if search is None:
        return None
    if isinstance(search, str | Path):
        from mmsr_env.search.local.backend import LocalSearch

        return LocalSearch.open(search)
    if all(callable(getattr(search, name, None)) for name in ("search_image", "search_text")):
        return search
    raise InvalidSettingError(
        f"search must be 'atlas', the folder of an index, a backend or None, "
        f"got {type(search).__name__}"
    )


def _world_of(tasks: Sequence[Task] | TaskSet) -> World | None:
    """The world that tasks are about, where they are Atlas's."""
    from mmsr_env.atlas import AtlasTasks

    inner = tasks.tasks if isinstance(tasks, NamedTasks) else tasks
    return inner.world if isinstance(inner, AtlasTasks) else None
