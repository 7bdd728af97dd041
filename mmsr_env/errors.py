"""The errors that wrong use of this package raises.

Each one is an `MMSRError` and also the standard-library error that fits, so a caller may
catch either. A model's text and a search service's answer never raise any of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MMSRError(Exception):
    """The root of every error this package raises on purpose."""


class InvalidSettingError(MMSRError, ValueError):
    """A setting has a value outside what it may be."""


class UnknownNameError(MMSRError, LookupError):
    """A name is not in its registry; the message offers the nearest one that is."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        # The arguments themselves are kept, so that the error survives a process boundary.
        super().__init__(what, name, tuple(sorted(known)))

    def __str__(self) -> str:
        what, name, choices = self.args
        near = difflib.get_close_matches(str(name), choices, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"no {what} is named {name!r}.{hint} Known: {', '.join(choices)}."


class EpisodeOrderError(MMSRError, RuntimeError):
    """An episode's methods were called in an order that has no meaning."""


class TaskDataError(MMSRError, ValueError):
    """A task file, or one row of it, does not have the form that it should have."""


class SearchIndexError(MMSRError, OSError):
    """A search index cannot be read or built."""


class MissingExtraError(MMSRError, ImportError):
    """An optional library is needed; the message names the extra that installs it."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(library, extra, purpose)

    def __str__(self) -> str:
        library, extra, purpose = self.args
        return f"{purpose} needs {library}: pip install 'mmsr[{extra}]'"
