"""`mmsr-train`: the Hydra entry, and the only file that knows of Hydra."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from transformers.utils.logging import disable_progress_bar

from algos.run import run
from mmsr_env.errors import InvalidSettingError, MMSRError

_SETTINGS = "settings.yaml"


def main() -> None:
    """The console script. What is wrong with the settings is one line, and exit code 2."""
    # Hydra raises then; else it would print its errors itself, over many lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Of every checkpoint's files; a run has a progress line of its own.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    with _one_line():
        _main()


@hydra.main(version_base=None, config_path="pkg://mmsr_env.conf", config_name="config")
def _main(config: DictConfig) -> None:
    with _one_line():  # here, before Hydra adds a line of its own
        chosen = HydraConfig.get()
        if chosen.mode == RunMode.MULTIRUN:
            config.folder = f"{config.folder}/{chosen.job.num}"
        if config.resume:
            config = _resumed(Path(config.resume), config, chosen.overrides.task)
        settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        folder = Path(config.folder)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(OmegaConf.create(settings), folder / _SETTINGS)
        run(cast(dict[str, Any], settings))


def _resumed(folder: Path, config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The settings that a run was started with, and the single ones that are overridden now."""
    if not (folder / _SETTINGS).is_file():
        raise InvalidSettingError(
            f"expected the folder of a run in resume, got {folder}, which has no {_SETTINGS}"
        )
    saved = cast(DictConfig, OmegaConf.load(folder / _SETTINGS))
    OmegaConf.set_struct(saved, True)
    for key in (override.partition("=")[0] for override in overrides):
        if key not in ("folder", "resume"):
            value = OmegaConf.select(config, key)
            if isinstance(value, DictConfig) or key == "experiment":
                raise InvalidSettingError(f"a run that is resumed keeps its {key}, got {overrides}")
            OmegaConf.update(saved, key, value)
    saved.folder, saved.resume = str(folder), str(folder)
    return saved


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (MMSRError, HydraException, OmegaConfBaseException) as error:
        print("mmsr-train: error:", *str(error).split(), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
