"""The environments' ids in Gymnasium's registry."""

from __future__ import annotations

import gymnasium

SEARCH_ID = "mmsr/Search-v0"


def register() -> None:
    """Enter the environments into Gymnasium's registry; those that are there stay as they are."""
    if SEARCH_ID not in gymnasium.registry:
        gymnasium.register(id=SEARCH_ID, entry_point="mmsr_env.env:MMSearchEnv")
