"""From settings to parts: the groups of `conf/`, and what is wrong with settings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from small_configs import CONF, SMALL, composed, save_beginner, save_fvqa, save_index

from algos.build import (
    build_model,
    build_play,
    build_search,
    build_tasks,
    check_settings,
)
from algos.registry import ALGORITHMS, make_algorithm
from algos.samplers.registry import SAMPLERS, make_sampler
from algos.trainer import TrainerSettings
from algos.update import UpdateSettings
from mmsr_env.atlas import AtlasSearch
from mmsr_env.errors import InvalidSettingError, MMSRError, UnknownNameError
from mmsr_env.reward import RewardRule
from mmsr_env.rules import Rules
from mmsr_env.search.local.backend import LocalSearch
from mmsr_env.settings import from_mapping

GROUPS = {
    group: sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    for group in ("algo", "env", "search", "model", "sampler", "experiment")
}
PLACES = ("env.path=/somewhere", "search.path=/somewhere")
"""What has no default, by the group that lacks it."""


def places(*overrides: str) -> list[str]:
    needed = {"env=fvqa": PLACES[0], "search=index": PLACES[1]}
    return [needed[override] for override in overrides if override in needed]


NAMES = ("algo", "env", "search", "model", "sampler")


@pytest.mark.parametrize("chosen", list(itertools.product(*(GROUPS[group] for group in NAMES))))
def test_every_group_composes_with_every_other(chosen: tuple[str, ...]) -> None:
    overrides = [f"{group}={name}" for group, name in zip(NAMES, chosen, strict=True)]
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", overrides=[*overrides, *places(*overrides)])
    assert config.algo.name == chosen[0]
    assert config.sampler.name == chosen[4]
    if overrides[1:3] != ["env=fvqa", "search=atlas"]:  # which needs a world, and has none
        check_settings(composed(*overrides, *places(*overrides)))


@pytest.mark.parametrize("name", GROUPS["experiment"])
def test_every_experiment_composes(name: str) -> None:
    given = PLACES if name == "mmsearch_r1" else ()
    check_settings(composed(f"experiment={name}", *given))


@pytest.mark.parametrize("name", GROUPS["algo"])
def test_every_algorithm_takes_all_of_its_settings(name: str) -> None:
    settings = composed(f"algo={name}")["algo"]
    assert make_algorithm(settings.pop("name"), **settings) == ALGORITHMS[name]()


def test_there_is_a_file_for_every_algorithm_and_sampler() -> None:
    assert set(GROUPS["algo"]) == set(ALGORITHMS)
    assert set(GROUPS["sampler"]) == set(SAMPLERS)


@pytest.mark.parametrize("name", GROUPS["env"])
def test_every_setting_of_the_environment_is_written_out_with_its_default(name: str) -> None:
    env = composed(f"env={name}", "search=index", *PLACES[int(name != "fvqa") :])["env"]
    play = build_play(env)
    assert play.reward == RewardRule()
    assert set(env["rules"]) == set(Rules.__dataclass_fields__)
    assert set(env["reward"]) == set(RewardRule.__dataclass_fields__)
    if name == "fvqa":
        assert play.rules == Rules()


def test_every_setting_of_trainer_and_update_is_written_out() -> None:
    settings = composed()
    assert {*settings["trainer"], "seed"} == set(TrainerSettings.__dataclass_fields__)
    assert set(settings["update"]) == set(UpdateSettings.__dataclass_fields__)
    from_mapping(UpdateSettings, settings["update"], "update")


def test_mmsearch_r1_has_the_papers_settings() -> None:
    """arXiv 2506.20670: what the issue of it says, value by value."""
    settings = composed("experiment=mmsearch_r1", *PLACES)
    algo, update, trainer, model, env = (
        settings[group] for group in ("algo", "update", "trainer", "model", "env")
    )
    assert algo["name"] == "grpo"
    assert (algo["kl_coef"], algo["entropy_coef"]) == (0.001, 0.0)
    assert (algo["clip_low"], algo["clip_high"]) == (0.2, 0.2)
    assert not algo["drop_groups_without_variance"]
    assert update["learning_rate"] == 2e-6
    assert trainer["tasks_per_iteration"] // update["minibatches"] == 128
    assert (trainer["tasks_per_iteration"], trainer["group_size"]) == (512, 8)
    assert (trainer["iterations"], trainer["temperature"]) == (50, 1.0)
    assert (model["max_tokens"], model["max_turn_tokens"]) == (8192, 2048)
    assert model["path"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert (model["min_pixels"], model["max_pixels"]) == (512 * 512, 672 * 672 * 2)
    rules, reward = env["rules"], env["reward"]
    assert (rules["max_turns"], rules["max_searches"], rules["results"]) == (3, 2, 5)
    assert rules["image_search_first_turn_only"]
    assert rules["on_malformed"] == "end"
    assert (reward["format_weight"], reward["search_penalty"]) == (0.1, 0.1)
    assert not reward["per_search"]
    assert (reward["match"], reward["warmup_steps"]) == ("exact", 0)
    assert (env["grammar"], env["prompts"]) == ("mmsearch_r1", "mmsearch_r1")


@pytest.mark.parametrize(
    "override",
    ["trainer.iteration=3", "algo=grop", "env.rules.max_turn=2", "sede=1", "algo.kl=0.1"],
)
def test_what_is_not_in_conf_is_an_error(override: str) -> None:
    with pytest.raises(HydraException):
        composed(override)


@pytest.mark.parametrize(
    "override",
    [
        "+seeds=1",
        "+env.rule=1",
        "+model.max_token=1",
        "+evaluation.task=1",
        "+search.max_sentence=1",
        "+algo.kl=0.1",
        "+sampler.batch=3",
        "+trainer.iteration=3",
        "+update.rate=3",
        "+env.rules.max_turn=2",
        "+env.world.seeds=2",
    ],
)
def test_what_nothing_reads_is_an_error_even_if_it_is_added_on_purpose(
    override: str, tmp_path: Path
) -> None:
    from algos.run import assemble

    settings = composed(override, save_beginner(tmp_path), *SMALL)
    with pytest.raises(MMSRError):
        assemble(settings, tmp_path)


def test_atlas_has_splits_of_its_own() -> None:
    tasks = build_tasks(composed(*SMALL)["env"])
    assert tasks.train[0].id.startswith("atlas-train")
    assert tasks.validation[0].id.startswith("atlas-validation")
    assert tasks.test[0].id.startswith("atlas-test")
    assert len(tasks.train) == 100_000


def fvqa(folder: Path, **counts: int) -> Mapping[str, Any]:
    path = save_fvqa(folder / "fvqa", **counts)
    return composed("env=fvqa", "search=index", path, PLACES[1])["env"]


def test_of_files_without_a_validation_set_every_tenth_question_is_kept_back(
    tmp_path: Path,
) -> None:
    tasks = build_tasks(fvqa(tmp_path, train=25))
    ids = [f"atlas-train-0-{i}" for i in range(25)]
    assert [task.id for task in tasks.validation] == ids[::10]
    assert [task.id for task in tasks.train] == [one for one in ids if one not in ids[::10]]
    assert [task.id for task in tasks.test] == [f"atlas-test-0-{i}" for i in range(4)]
    assert [task.id for task in tasks.train[2:4]] == ids[3:5]
    assert tasks.train[-1].id == ids[24]
    with pytest.raises(IndexError):
        tasks.train[22]


def test_too_few_questions_to_keep_one_back_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="got 1"):
        build_tasks(fvqa(tmp_path, train=1))


def test_a_validation_file_is_used_where_it_is_given(tmp_path: Path) -> None:
    env = {**fvqa(tmp_path)}
    env["validation"] = {"spec": env["test"]["spec"]}
    tasks = build_tasks(env)
    assert (len(tasks.train), len(tasks.validation)) == (12, 4)


def test_search_backends_are_chosen_by_name(tmp_path: Path) -> None:
    atlas = build_search(composed(*SMALL)["search"])
    assert isinstance(atlas, AtlasSearch)
    assert (atlas.world.size, atlas.max_sentences, atlas.thumbnail) == (120, 1, 28)
    index = composed("search=index", save_index(tmp_path / "index"))["search"]
    assert isinstance(build_search(index), LocalSearch)
    with pytest.raises(UnknownNameError, match="Did you mean 'atlas'"):
        build_search({"name": "atlsa"})
    with pytest.raises(UnknownNameError, match="Known: name, path"):
        build_search({**index, "max_sentence": 2})


def model_settings(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    return {**composed(save_beginner(tmp_path / "model"))["model"], **changes}


def test_a_model_is_loaded_as_the_settings_say(tmp_path: Path) -> None:
    vlm = build_model(model_settings(tmp_path, dtype="bfloat16", max_pixels=3136))
    assert vlm.model.dtype is torch.bfloat16
    assert vlm.pictures.image_processor.size["longest_edge"] == 3136


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dtype": "int8"}, "model.dtype"),
        ({"dtype": "float33"}, "model.dtype"),
        ({"path": "/no/model/here"}, "/no/model/here"),
        ({"attention": "no_such_attention"}, "no_such_attention"),
        ({"device": "nowhere"}, "nowhere"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_error(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(InvalidSettingError, match=match):
        build_model(model_settings(tmp_path, **changes))


def test_samplers_are_chosen_by_name(tmp_path: Path) -> None:
    vlm = build_model(model_settings(tmp_path))
    make_sampler("hf", vlm, seed=0, max_batch=3)
    with pytest.raises(UnknownNameError, match="Did you mean 'hf'"):
        make_sampler("hff", vlm, seed=0)
    with pytest.raises(InvalidSettingError, match="batch"):
        make_sampler("hf", vlm, seed=0, batch=3)
