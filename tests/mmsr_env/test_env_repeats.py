"""MMSearchEnv again and again: same seed, copies, other processes, wrappers, vectors."""

import copy
import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

from mmsr_env import MMSearchEnv
from mmsr_env.tasks import load_tasks, write_tasks

ID = "mmsr_env:mmsr/Search-v0"
LOOK = "<reason>What is it?</reason><search><img></search>"
READ = "<reason>What does it say?</reason><text_search>the tree of it</text_search>"
ANSWER = "<reason>So it is.</reason><answer>oak</answer>"
SMALL = {"size": 200, "difficulty": "hard"}


def as_bytes(value):
    """Everything in a step or reset as bytes, types and shapes included."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + value.tobytes()
    if isinstance(value, dict):
        return b"{" + b",".join(k.encode() + b":" + as_bytes(v) for k, v in value.items()) + b"}"
    if isinstance(value, tuple):
        return b"(" + b",".join(map(as_bytes, value)) + b")"
    return f"{type(value).__name__}:{value!r}".encode()


def play(env, seed, episodes=6):
    """Episodes of sampled and chosen messages, as bytes."""
    env.action_space.seed(seed)
    out = [as_bytes(env.reset(seed=seed))]
    for number in range(episodes):
        chosen = [LOOK, READ, ANSWER] if number % 2 else []
        while True:
            step = env.step(chosen.pop(0) if chosen else env.action_space.sample())
            out.append(as_bytes(step))
            if step[2] or step[3]:
                break
        out.append(as_bytes(env.reset()))
    return b"\n".join(out)


def test_the_same_seed_gives_the_same_episodes_byte_for_byte():
    one, other = gymnasium.make(ID, world=SMALL), gymnasium.make(ID, world=SMALL)
    assert play(one, 11) == play(other, 11) == play(one, 11)
    assert play(one, 11) != play(one, 12)


def test_another_process_gives_the_same_episodes():
    code = (
        "import hashlib, gymnasium, test_env_repeats as t\n"
        "env = gymnasium.make(t.ID, world=t.SMALL)\n"
        "print(hashlib.sha256(t.play(env, 11)).hexdigest())"
    )
    digests = {hashlib.sha256(play(gymnasium.make(ID, world=SMALL), 11)).hexdigest()}
    for hashing in ("1", "2"):
        here = [os.path.dirname(__file__), *filter(None, sys.path)]
        environment = {**os.environ, "PYTHONHASHSEED": hashing, "PYTHONPATH": ":".join(here)}
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        digests.add(ran.stdout.strip())
    assert len(digests) == 1


def test_the_global_random_state_is_neither_read_nor_moved():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    one = play(gymnasium.make(ID, world=SMALL), 3)
    assert np.array_equal(before, np.random.get_state()[1])
    np.random.seed(2)
    assert play(gymnasium.make(ID, world=SMALL), 3) == one


def through_pickle(env):
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("again", [copy.deepcopy, through_pickle])
@pytest.mark.parametrize("made", [[], [LOOK], [LOOK, READ], [LOOK, READ, ANSWER]])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_copy_goes_on_alike(again, made, wrapped):
    env = gymnasium.make(ID, world=SMALL) if wrapped else MMSearchEnv(world=SMALL)
    env.reset(seed=4)
    for action in made:
        env.step(action)
    twin = again(env)
    rest = [LOOK, READ, ANSWER][len(made) :]
    for action in rest:
        assert as_bytes(env.step(action)) == as_bytes(twin.step(action))
    assert env.unwrapped.trajectory == twin.unwrapped.trajectory
    assert as_bytes(env.reset()) == as_bytes(twin.reset())
    env.step(LOOK)
    assert twin.unwrapped.messages() != env.unwrapped.messages()


def test_a_pickle_does_not_carry_the_index():
    env = MMSearchEnv(world=SMALL)
    env.reset(seed=0)
    env.step(READ)
    assert len(pickle.dumps(env)) < 200_000


def test_a_copy_of_an_environment_with_tasks_from_a_file(tmp_path):
    write_tasks(tmp_path / "t.jsonl", load_tasks("atlas")[:5])
    env = MMSearchEnv(tmp_path / "t.jsonl", "atlas", world=SMALL)
    env.reset(seed=1)
    twin = pickle.loads(pickle.dumps(env))
    assert as_bytes(env.step(LOOK)) == as_bytes(twin.step(LOOK))
    assert as_bytes(env.reset()) == as_bytes(twin.reset())


def test_what_was_given_out_is_not_changed_later():
    env = MMSearchEnv(world=SMALL)
    first, info = env.reset(seed=0)
    kept = as_bytes((first, info))
    first["images"][0][:] = 0
    info["kind"] = "changed"
    again, told = env.reset(seed=0)
    assert as_bytes((again, told)) == kept


def test_the_specification_travels_as_json():
    env = gymnasium.make(ID, world=SMALL, rules={"on_malformed": "feedback"}, tasks="atlas")
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert play(again, 5) == play(env, 5)


def test_time_limit_truncates_from_outside():
    env = TimeLimit(MMSearchEnv(world=SMALL), max_episode_steps=2)
    env.reset(seed=0)
    assert env.step(LOOK)[2:4] == (False, False)
    assert env.step(READ)[2:4] == (False, True)
    limited = gymnasium.make(ID, max_episode_steps=1, world=SMALL)
    limited.reset(seed=0)
    assert limited.step(READ)[2:4] == (False, True)


def test_the_last_turn_terminates_and_does_not_truncate():
    env = gymnasium.make(ID, world=SMALL, rules={"max_turns": 1})
    env.reset(seed=0)
    _, _, terminated, truncated, info = env.step(LOOK)
    assert (terminated, truncated, info["stop_reason"]) == (True, False, "turns_exhausted")


def test_record_episode_statistics():
    env = RecordEpisodeStatistics(gymnasium.make(ID, world=SMALL))
    env.reset(seed=0)
    env.step(LOOK)
    info = env.step(ANSWER)[4]
    assert info["episode"]["l"] == 2
    assert info["episode"]["r"] == pytest.approx(info["reward_parts"]["format"] * 0.1)


def test_rendered_frames_are_collected():
    env = gymnasium.make(ID, world=SMALL, render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(LOOK)
    env.step(ANSWER)
    frames = env.render()
    assert len(frames) == 3
    assert len({frame.shape for frame in frames}) == 1


def make_one():
    import mmsr_env  # noqa: F401  # registers the id in a process that starts afresh

    return gymnasium.make("mmsr/Search-v0", world=SMALL)


def drive(envs):
    """Two episodes side by side; their observations against two environments on their own."""
    alone = [make_one(), make_one()]
    observations, infos = envs.reset(seed=[1, 2])
    firsts = [env.reset(seed=seed) for env, seed in zip(alone, (1, 2), strict=True)]
    for place, (observation, info) in enumerate(firsts):
        assert_same(observations, place, observation)
        assert infos["task_id"][place] == info["task_id"]
    for actions in [(LOOK, READ), (READ, ANSWER)]:
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        for place, (env, action) in enumerate(zip(alone, actions, strict=True)):
            observation, reward, ended, _, info = env.step(action)
            assert_same(observations, place, observation)
            assert (rewards[place], terminated[place]) == (reward, ended)
            assert infos["action"][place] == info["action"]
        assert not truncated.any()
    assert list(terminated) == [False, True]
    assert infos["stop_reason"][1] == "answered"
    observations, *_ = envs.step((ANSWER, "ignored: this one begins anew"))
    assert_same(observations, 1, alone[1].reset()[0])
    envs.close()


def assert_same(observations, place, observation):
    assert observations["text"][place] == observation["text"]
    pictures = zip(observations["images"][place], observation["images"], strict=True)
    assert all(np.array_equal(one, other) for one, other in pictures)
    for key in ("turns_left", "searches_left", "image_search_allowed"):
        assert observations[key][place] == observation[key]


def test_two_in_a_vector():
    drive(SyncVectorEnv([make_one, make_one]))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_two_in_processes(context):
    if context == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    warm = make_one()  # so that a fork finds a search that has been used
    warm.reset(seed=0)
    warm.step(READ)
    drive(AsyncVectorEnv([make_one, make_one], shared_memory=False, context=context))


def test_two_by_make_vec():
    envs = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="sync", world=SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drive(envs)


def test_infos_are_json():
    env = MMSearchEnv(world=SMALL)
    told = [env.reset(seed=0)[1], env.step(LOOK)[4], env.step(ANSWER)[4]]
    assert json.loads(json.dumps(told)) == told
