"""Conversations as text and as a picture: what must be seen in them."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsr_env import MMSearchEnv, Task
from mmsr_env.frame import HEIGHT, WIDTH, to_frame
from mmsr_env.lettering import Lettering, Run, drawable, visible
from mmsr_env.rendering import to_ansi, verdict
from mmsr_env.types import Message

LOOK = "<reason>I look.</reason><search><img></search>"
READ = "<reason>I read.</reason><text_search>its tree</text_search>"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def played(mode, actions, **arguments):
    """The renderings after reset and each step."""
    env = MMSearchEnv(world={"size": 200}, render_mode=mode, **arguments)
    env.reset(seed=3)
    frames = [env.render()]
    for action in actions:
        env.step(action.replace("{gold}", env._episode.task.answers[0]))
        frames.append(env.render())
    return env, frames


def test_the_text_tells_the_whole_conversation():
    env, frames = played("ansi", [LOOK, READ, "<reason>So.</reason><answer>{gold}</answer>"])
    plain = ESCAPE.sub("", frames[-1])
    gold = env._episode.task.answers[0]
    for said in (
        env._episode.task.question,
        "[picture, 112 x 112]",
        LOOK,
        READ,
        f"<answer>{gold}</answer>",
        "── user ──",
        "── assistant ──",
        "── reward 0.91 ──",
        "right, 2 searches, format kept, answered",
        f"expected: {gold}",
    ):
        assert said in plain
    for message in env.messages():
        for block in message["content"]:
            if block["type"] == "text":
                assert block["text"].strip("\n") in plain
    assert plain.count("[picture, ") == 6
    for frame in frames[:-1]:
        assert "in progress" in frame
        assert "expected: " not in frame


def test_the_text_grows_with_the_conversation():
    _, frames = played("ansi", [LOOK, READ])
    heads = [frame.rpartition("in progress")[0][:-20] for frame in frames]
    assert frames[1].startswith(heads[0])
    assert frames[2].startswith(heads[1])


def test_pictures_in_the_text_have_their_colours():
    task = Task("t", "Who?", Image.new("RGB", (30, 15), (200, 10, 30)), ("x",))
    text = to_ansi(task, (Message("user", (task.image, "Who?")),), None)
    rows = [line for line in text.split("\n") if "▀" in line]
    assert len(rows) == 6  # 24 x 12 pixels, two above one another in each block
    assert {line.count("▀") for line in rows} == {24}
    assert {code for line in rows for code in re.findall(r"[34]8;2;(\d+;\d+;\d+)", line)} == {
        "200;10;30"
    }


def test_the_text_without_colour_has_no_escapes():
    env, _ = played("ansi", [LOOK])
    shown = (env._episode.task, env._episode.conversation, None)
    plain = to_ansi(*shown, colour=False)
    assert "\x1b" not in plain
    assert "▀" not in plain
    assert plain.count("[picture, ") == 6


@given(st.text(st.characters()))
def test_no_message_can_act_on_the_terminal(text):
    conversation = (Message("user", ("Who?",)), Message("assistant", (text,)))
    task = Task("t", "Who?", Image.new("RGB", (2, 2)), ("x",))
    shown = to_ansi(task, conversation, None, colour=False)
    shown.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


def test_long_messages_are_cut_and_say_so():
    _, frames = played("ansi", ["x" * 1_000_000])
    assert len(frames[-1]) < 40_000
    assert "(992000 more characters)" in frames[-1]


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (["no tags"], "wrong, no search, format broken, malformed"),
        ([READ, "<answer>{gold}</answer>"], "right, 1 search, format broken, answered"),
        ([LOOK, READ, READ], "wrong, 2 searches, format broken, turns exhausted"),
    ],
)
def test_the_verdict(actions, words):
    env, _ = played("ansi", actions)
    assert verdict(env.trajectory) == words


def test_frames_have_one_size_and_change_with_every_step():
    actions = [LOOK, READ, "<reason>So.</reason><answer>oak</answer>"]
    _, frames = played("rgb_array", actions)
    assert {(frame.shape, frame.dtype) for frame in frames} == {
        ((HEIGHT, WIDTH, 3), np.dtype(np.uint8))
    }
    for before, after in itertools.pairwise(frames):
        assert (before != after).any(axis=2).mean() > 0.01
    _, again = played("rgb_array", actions)
    assert all(np.array_equal(*pair) for pair in zip(frames, again, strict=True))


def test_frames_share_no_memory():
    env, (frame, *_) = played("rgb_array", [])
    frame[:] = 0
    assert env.render().any()


def test_the_pictures_are_in_the_frame():
    colour = (13, 199, 101)
    task = Task("t", "Who?", Image.new("RGB", (50, 50), colour), ("x",))
    hit = Image.new("RGB", (50, 50), (250, 120, 77))
    results = ("<information>", hit, "\n1. Ann", "\n", hit, "\n2. Bob</information>Go on.")
    conversation = (
        Message("user", (task.image, "Who?")),
        Message("assistant", (LOOK,)),
        Message("user", results),
    )
    frame = to_frame(task, conversation, None)
    assert (frame == colour).all(axis=2).sum() > 10_000
    assert (frame == (250, 120, 77)).all(axis=2).sum() == 2 * 128 * 128


def test_the_reward_is_always_seen_and_long_talk_gives_way():
    rules = {"max_turns": 12, "on_malformed": "feedback"}
    long = ["word " * 400] * 10
    _, frames = played(
        "rgb_array", [*long, "<reason>So.</reason><answer>{gold}</answer>"], rules=rules
    )
    _, short = played("rgb_array", ["<reason>So.</reason><answer>{gold}</answer>"], rules=rules)
    head, foot = slice(0, 150), slice(-110, None)
    assert np.array_equal(frames[-1][head], short[-1][head])
    assert not np.array_equal(frames[-2][foot], frames[-1][foot])


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_can_be_drawn(said, told):
    task = Task("t", told, Image.new("RGB", (1, 300)), (said,))
    conversation = (
        Message("user", (task.image, told)),
        Message("assistant", (said,)),
        Message("user", (f"<information>{told}</information>{said}",)),
        Message("assistant", (f"<reason>{told}</reason><answer>{said}</answer>",)),
        Message("user", (told,)),
    )
    assert to_frame(task, conversation, None).shape == (HEIGHT, WIDTH, 3)


@given(st.lists(st.text(st.characters(), max_size=80), max_size=4), st.integers(20, 400))
def test_lines_fit_their_width_and_lose_nothing(texts, width):
    letters = Lettering(14)
    lines = letters.wrap([Run(text, (0, 0, 0)) for text in texts], width, 10_000)
    for line in lines:
        assert sum(letters.width(run.text) for run in line) <= width
    squeezed = "".join(run.text for line in lines for run in line).split()
    assert "".join(squeezed) == "".join("".join(map(drawable, texts)).split())


def test_too_many_lines_are_cut_and_say_so():
    lines = Lettering(14).wrap([Run("word " * 100, (0, 0, 0))], 100, 3)
    assert len(lines) == 3
    assert lines[-1][-1].text == " ..."


def test_letters_that_the_font_lacks_are_drawn_as_their_nearest():
    assert drawable("Zürich – Ōsaka") == "Zurich - Osaka"
    assert drawable("plain text, 1889!") == "plain text, 1889!"
    assert visible("a\x1b[31mb\ud800\n") == "a\ufffd[31mb\ufffd\n"
