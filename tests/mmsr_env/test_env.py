"""MMSearchEnv: Gymnasium's contract, what each step shows, and what wrong use meets."""

import json
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mmsr_env
from mmsr_env import MMSearchEnv, Rules, Task, load_tasks
from mmsr_env.atlas import AtlasSearch, AtlasTasks, World
from mmsr_env.errors import InvalidSettingError, MMSRError, UnknownNameError
from mmsr_env.reward import RewardRule
from mmsr_env.search.local.build import build_index
from mmsr_env.search.local.corpus import IndexedPicture, Page
from mmsr_env.search.local.perceptual import PerceptualEmbedder
from mmsr_env.spaces import MAX_CHARS
from mmsr_env.tasks import UnknownTaskError, write_tasks
from mmsr_env.types import Hit, SearchResult

ID = "mmsr_env:mmsr/Search-v0"
LOOK = "<reason>What is it?</reason><search><img></search>"
READ = "<reason>What does it say?</reason><text_search>the tree of it</text_search>"
SMALL = {"size": 200}


def answer(text):
    return f"<reason>So it is.</reason><answer>{text}</answer>"


@pytest.fixture
def env():
    env = gymnasium.make(ID, world=SMALL)
    yield env
    env.close()


class Told:
    """A backend that gives what it was told to, or raises it, and keeps what it was asked."""

    def __init__(self, result):
        self.result = result
        self.asked = []

    async def search_image(self, image, k):
        self.asked.append((image.task_id, k))
        return self._give()

    async def search_text(self, query, k, question):
        self.asked.append((query, k, question))
        return self._give()

    def _give(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_check_env_finds_nothing(render_mode):
    env = gymnasium.make(ID, render_mode=render_mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_check_env_finds_nothing_under_the_rule_of_feedback():
    rules = {"on_malformed": "feedback", "max_turns": 6}
    env = gymnasium.make(ID, world=SMALL, rules=rules)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_the_default_world_needs_nothing(env):
    env = gymnasium.make(ID)
    assert env.unwrapped.search.world == World(size=1000)
    observation, _ = env.reset(seed=0)
    observation, *_ = env.step(LOOK)
    assert len(observation["images"]) == 5


def test_the_first_observation(env):
    observation, info = env.reset(seed=0)
    task = env.unwrapped.tasks[env.unwrapped.tasks.index_of(info["task_id"])]
    assert observation in env.observation_space
    assert task.question in observation["text"]
    assert np.array_equal(observation["images"][0], np.asarray(task.image))
    rest = {key: observation[key] for key in observation if key not in ("text", "images")}
    assert rest == {"turns_left": 3, "searches_left": 2, "image_search_allowed": 1}
    assert info == {
        "task_id": task.id,
        "question": task.question,
        "kind": task.kind,
        "category": task.category.value,
    }


def test_a_whole_episode(env):
    _, first = env.reset(seed=1)
    seen, reward, terminated, truncated, info = env.step(LOOK)
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert len(seen["images"]) == 5
    assert "<information>" in seen["text"]
    left = ("turns_left", "searches_left", "image_search_allowed")
    assert [seen[key] for key in left] == [2, 1, 0]
    assert (info["action"], info["problem"]) == ("search_image", "")
    assert (info["search_ok"], info["search_cause"]) == (True, "")
    assert "stop_reason" not in info

    seen, reward, terminated, truncated, info = env.step(READ)
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert seen["images"] == ()
    assert [seen[key] for key in left] == [1, 0, 0]
    assert info["action"] == "search_text"

    gold = env.unwrapped.tasks[env.unwrapped.tasks.index_of(first["task_id"])].answers[0]
    seen, reward, terminated, truncated, info = env.step(answer(gold))
    assert reward == pytest.approx(0.91)
    assert (terminated, truncated) == (True, False)
    assert (seen["text"], seen["images"]) == ("", ())
    assert [seen[key] for key in left] == [0, 0, 0]
    assert (info["action"], info["stop_reason"]) == ("answer", "answered")
    assert info["reward_parts"] == {"score": 1.0, "penalty": 0.9, "format": 1.0}
    assert "search_ok" not in info
    assert env.unwrapped.trajectory.reward == reward


@pytest.mark.parametrize(
    ("actions", "reward", "stop_reason"),
    [
        ([answer("{gold}")], 1.0, "answered"),
        ([READ, answer("{gold}")], 0.91, "answered"),
        (["<answer>{gold}</answer>"], 0.9, "answered"),
        ([READ, "<answer>{gold}</answer>"], 0.81, "answered"),
        ([answer("none of them")], 0.1, "answered"),
        (["<answer>none of them</answer>"], 0.0, "answered"),
        (["I do not know."], 0.0, "malformed"),
        ([READ, LOOK], 0.0, "malformed"),
        ([LOOK, READ, READ], 0.0, "turns_exhausted"),
    ],
)
def test_the_reward_falls_due_at_the_end(env, actions, reward, stop_reason):
    env.reset(seed=2)
    gold = env.unwrapped._episode.task.answers[0]
    steps = [env.step(action.replace("{gold}", gold)) for action in actions]
    assert [step[1] for step in steps[:-1]] == [0.0] * (len(steps) - 1)
    assert [step[2] for step in steps] == [False] * (len(steps) - 1) + [True]
    assert not any(step[3] for step in steps)
    assert steps[-1][1] == pytest.approx(reward)
    assert steps[-1][4]["stop_reason"] == stop_reason


def test_the_model_may_be_told_what_was_wrong():
    env = gymnasium.make(ID, world=SMALL, rules={"on_malformed": "feedback"})
    env.reset(seed=0)
    seen, reward, terminated, _, info = env.step("Hm.")
    assert (reward, terminated, info["action"]) == (0.0, False, "malformed")
    assert info["problem"]
    assert info["problem"] in seen["text"]
    assert seen["turns_left"] == 2


SHARED = MMSearchEnv(world=SMALL)
SPEAKING = MMSearchEnv(world=SMALL, rules={"on_malformed": "feedback"})
TAGS = st.sampled_from(
    "<reason> </reason> <search> <img> </search> <text_search> </text_search> <answer> "
    "</answer> <information> </information>".split()
)
MESSAGES = st.one_of(
    st.text(st.characters()),  # lone surrogates included
    st.lists(st.one_of(TAGS, st.text(st.characters(), max_size=5)), max_size=8).map("".join),
    st.sampled_from([LOOK, READ, answer("x")]),
)


@given(st.lists(MESSAGES, min_size=3, max_size=3), st.sampled_from([SHARED, SPEAKING]))
def test_any_text_is_a_legal_action(actions, env):
    env.reset(seed=0)
    for action in actions:
        assert action in env.action_space
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation in env.observation_space
        assert 0.0 <= reward <= 1.0
        assert not truncated
        json.dumps(info)
        if terminated:
            break
    else:
        pytest.fail("three turns did not end the episode")
    with pytest.raises(ResetNeeded):
        env.step("again")


@pytest.mark.parametrize("where", ["in", "before", "after"])
def test_megabytes_of_text_are_a_legal_action(env, where):
    env.reset(seed=0)
    action = {
        "in": answer("x" * 3_000_000),
        "before": "x" * 3_000_000 + answer("x"),
        "after": answer("x") + " " * 3_000_000,
    }[where]
    _, reward, terminated, _, _ = env.step(action)
    assert terminated
    assert reward == pytest.approx(0.1 if where == "after" else 0.0)
    assert env.unwrapped.trajectory.turns[0].text == action[:MAX_CHARS]


@pytest.mark.parametrize("action", [None, 3, b"text", ["text"], {"text": 1}])
def test_an_action_that_is_no_text_fails(env, action):
    env.reset(seed=0)
    with pytest.raises(TypeError, match=type(action).__name__) as caught:
        env.step(action)
    assert isinstance(caught.value, InvalidAction)
    assert isinstance(caught.value, MMSRError)
    assert env.step(answer("x"))[2], "the episode should have gone on as if nothing had been"


def test_numpys_text_is_text(env):
    env.reset(seed=0)
    env.step(np.str_(LOOK))
    assert type(env.unwrapped.messages()[1]["content"][0]["text"]) is str


def test_step_render_and_messages_need_a_reset():
    env = MMSearchEnv(world=SMALL, render_mode="ansi")
    assert env.trajectory is None
    for use in (lambda: env.step("x"), env.render, env.messages):
        with pytest.raises(ResetNeeded, match=r"reset\(\) first"):
            use()
    env.reset(seed=0)
    assert env.trajectory is None
    env.step(answer("x"))
    with pytest.raises(RuntimeError, match="the episode has ended") as caught:
        env.step(answer("x"))
    assert isinstance(caught.value, MMSRError)
    assert isinstance(caught.value, ResetNeeded)
    env.reset()
    env.step(answer("x"))


def test_the_conversation_in_content_blocks(env):
    env.reset(seed=0)
    env.step(LOOK)
    messages = env.unwrapped.messages()
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    opening = messages[0]["content"]
    assert [block["type"] for block in opening] == ["image", "text"]
    assert isinstance(opening[0]["image"], Image.Image)
    assert messages[1]["content"] == [{"type": "text", "text": LOOK}]
    kinds = [block["type"] for block in messages[2]["content"]]
    assert kinds.count("image") == 5
    assert kinds == ["text", "image"] * 5 + ["text"]


def test_a_search_that_raises_is_a_result():
    env = MMSearchEnv(search=Told(RuntimeError("down")), world=None)
    env.reset(seed=0)
    seen, reward, terminated, _, info = env.step(LOOK)
    assert (reward, terminated) == (0.0, False)
    assert (info["search_ok"], info["search_cause"]) == (False, "backend_error")
    assert "failed" in seen["text"]
    assert seen["searches_left"] == 1


def test_a_backend_is_asked_for_what_the_model_wants():
    backend = Told(SearchResult((Hit("A title"),)))
    env = MMSearchEnv(search=backend, rules={"results": 3})
    _, info = env.reset(seed=0)
    env.step(LOOK)
    env.step(READ)
    assert backend.asked == [(info["task_id"], 3), ("the tree of it", 3, info["question"])]


def test_reset_takes_a_task():
    env = MMSearchEnv(world=SMALL)
    tasks = env.tasks
    mine = Task("mine", "Who?", Image.new("L", (9, 5)), ("x",), kind="own")
    assert env.reset(options={"task": 7})[1]["task_id"] == tasks[7].id
    assert env.reset(options={"task": np.int64(8)})[1]["task_id"] == tasks[8].id
    assert env.reset(options={"task": tasks[9].id})[1]["task_id"] == tasks[9].id
    observation, info = env.reset(options={"task": mine})
    assert (info["task_id"], info["kind"], info["category"]) == ("mine", "own", "unknown")
    assert observation["images"][0].shape == (5, 9, 3)
    assert env.step(answer("x"))[1] == 1.0


def test_choosing_a_task_draws_nothing():
    env = MMSearchEnv(world=SMALL)
    env.reset(seed=5)
    drawn = env.reset()[1]["task_id"]
    env.reset(seed=5)
    env.reset(options={"task": 3})
    assert env.reset()[1]["task_id"] == drawn


def test_reset_without_a_seed_goes_on():
    env = MMSearchEnv(world=SMALL)
    ids = [env.reset(seed=5 if i == 0 else None)[1]["task_id"] for i in range(20)]
    assert len(set(ids)) > 15
    assert ids == [env.reset(seed=5 if i == 0 else None)[1]["task_id"] for i in range(20)]


@pytest.mark.parametrize("bad", [-1, 100_000, 1.5, True, [1], {}])
def test_a_task_that_is_none_fails(bad):
    with pytest.raises(InvalidSettingError, match=r"options\['task'\]"):
        MMSearchEnv(world=SMALL).reset(options={"task": bad})


def test_an_unknown_id_or_option_fails(tmp_path):
    env = MMSearchEnv([Task("a", "Who?", Image.new("RGB", (4, 4)), ("x",))], "atlas")
    with pytest.raises(UnknownTaskError, match="'b'"):
        env.reset(options={"task": "b"})
    with pytest.raises(UnknownNameError, match="Did you mean 'task'"):
        env.reset(options={"tasks": "a"})


def test_the_penalty_warms_up_with_the_training_step():
    env = MMSearchEnv(world=SMALL, reward={"warmup_steps": 10})

    def reward_at(**options):
        env.reset(seed=0, options=options)
        env.step(READ)
        return env.step(answer(env._episode.task.answers[0]))[1]

    assert reward_at(training_step=0) == pytest.approx(0.9 * 1.1 + 0.1)
    assert reward_at(training_step=np.int64(5)) == pytest.approx(1.0)
    assert reward_at(training_step=10) == pytest.approx(0.91)
    assert reward_at() == pytest.approx(0.91)
    for bad in (1.5, "3", True):
        with pytest.raises(InvalidSettingError, match="training_step"):
            reward_at(training_step=bad)


def test_arguments_may_be_data_or_objects():
    world = World(200, 3)
    data = MMSearchEnv(
        {"spec": "atlas", "split": "test", "count": 50},
        rules={"max_turns": 5},
        reward={"search_penalty": 0.2},
        world={"size": 200, "seed": 3},
    )
    made = MMSearchEnv(
        AtlasTasks(world, "test", 50),
        AtlasSearch(world),
        Rules(max_turns=5),
        RewardRule(search_penalty=0.2),
    )
    assert (data.rules, data.reward, data.search.world) == (made.rules, made.reward, world)
    assert list(data.tasks[:3]) == list(made.tasks[:3])
    assert MMSearchEnv(AtlasTasks(world)).search.world == world
    assert MMSearchEnv(load_tasks("atlas", world=world)).search.world == world


def test_tasks_and_an_index_by_their_paths(tmp_path):
    picture = Image.new("RGB", (40, 40), (200, 10, 10))
    write_tasks(tmp_path / "mine.jsonl", [Task("a", "Who?", picture, ("Ann",))])
    pages = [Page("https://a.example", "Ann", "Ann is a red square.")]
    pictures = [IndexedPicture("A red square", "https://a.example", lambda: picture)]
    build_index(pages, pictures, tmp_path / "index", PerceptualEmbedder())
    env = gymnasium.make(ID, tasks=str(tmp_path / "mine.jsonl"), search=str(tmp_path / "index"))
    env.reset(seed=0)
    assert "A red square" in env.step(LOOK)[0]["text"]
    query = "<reason>Ann?</reason><text_search>red Ann</text_search>"
    assert "Ann is a red square." in env.step(query)[0]["text"]
    assert env.step(answer("ann"))[1] == pytest.approx(0.91)


def test_tasks_without_a_search_may_be_asked_without_searching():
    tasks = [Task("a", "Who?", Image.new("RGB", (4, 4)), ("x",))]
    with pytest.raises(InvalidSettingError, match="bring no search"):
        MMSearchEnv(tasks)
    env = MMSearchEnv(tasks, rules={"max_searches": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.reset(seed=0)
    assert env.step(READ)[4]["problem"] == "no searches are left"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"rules": {"max_turn": 3}}, "Did you mean 'max_turns'"),
        ({"reward": {"penalty": 3}}, "Did you mean 'search_penalty'"),
        ({"world": {"sise": 200}}, "Did you mean 'size'"),
        ({"world": {"difficulty": "hrd"}}, "Did you mean 'hard'"),
        ({"tasks": "atls"}, "Did you mean 'atlas'"),
        ({"tasks": {"spec": "atlas", "spilt": "test"}}, "Did you mean 'split'"),
        ({"grammar": "mmsearch-r1"}, "Did you mean 'mmsearch_r1'"),
        ({"prompts": "compactt"}, "Did you mean 'compact'"),
    ],
)
def test_unknown_names_are_met_with_the_nearest(arguments, expected):
    with pytest.raises(UnknownNameError, match=expected):
        gymnasium.make(ID, **arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"rules": {"max_turns": 0}}, r"rules\.max_turns"),
        ({"rules": {"max_turns": "3"}}, "rules"),
        ({"rules": 3}, "rules must be a mapping or a Rules, got int"),
        ({"reward": {"search_penalty": 2}}, r"reward\.search_penalty"),
        ({"world": {"size": 5}}, r"world\.size"),
        ({"tasks": 3}, "tasks must be"),
        ({"tasks": {"split": "test"}}, "needs 'spec'"),
        ({"tasks": []}, "at least one task"),
        ({"search": 3}, "search must be"),
        ({"tasks": AtlasTasks(World()), "world": {"size": 200}}, "neither tasks nor search"),
    ],
)
def test_wrong_values_fail(arguments, expected):
    with pytest.raises(InvalidSettingError, match=expected):
        gymnasium.make(ID, **arguments)


def test_a_render_mode_that_is_none_fails():
    with pytest.raises(InvalidSettingError, match="'ansi', 'rgb_array'"):
        MMSearchEnv(render_mode="svg")


def test_the_docstring_is_the_environments_page():
    page = MMSearchEnv.__doc__
    for heading in ("Action space", "Observation space", "Reward", "End", "Arguments", "Version"):
        assert f"## {heading}" in page
    env = MMSearchEnv(world=SMALL)
    for name in (*env.observation_space.spaces, *MMSearchEnv.__init__.__annotations__):
        assert name == "return" or f"`{name}`" in page
    env.reset(seed=0)
    for key in {**env.step(LOOK)[4], **env.step("end")[4]}:
        assert f"`{key}`" in page
    assert f"{MAX_CHARS:,}" in page


def test_the_version_is_told():
    assert mmsr_env.__version__.count(".") == 2
