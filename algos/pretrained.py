"""The weights that the package carries: the small model, warm-started on Atlas."""

from __future__ import annotations

from pathlib import Path

from mmsr_env.errors import InvalidSettingError


def packaged_model() -> Path:
    """The folder of the warm-started small model; `algos.warm_start_atlas` made it.

    Raises:
        InvalidSettingError: This installation came without it.
    """
    folder = Path(__file__).parent / "weights" / "atlas_tiny"
    if not (folder / "config.json").is_file():
        raise InvalidSettingError(
            f"expected the packaged model in {folder}; give model.path, or make one with "
            "`python -m algos.warm_start_atlas OUT`"
        )
    return folder
