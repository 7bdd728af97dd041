"""`MMSearchEnv`: one episode at a time, by Gymnasium's `reset` and `step`."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.error import InvalidAction, ResetNeeded

from mmsr_env.episode import Episode
from mmsr_env.errors import EpisodeOrderError, InvalidSettingError, MMSRError
from mmsr_env.observation import describe, observation_space, observe, to_messages
from mmsr_env.pictures import Pixels
from mmsr_env.protocol.grammar import get_grammar
from mmsr_env.protocol.prompts import get_prompts
from mmsr_env.reward import RewardRule
from mmsr_env.rules import Rules
from mmsr_env.search.base import SearchRequest, perform
from mmsr_env.search.blocking import run_blocking
from mmsr_env.settings import check_names, from_mapping
from mmsr_env.sources import SearchSource, TaskSource, WorldSource, make_sources
from mmsr_env.spaces import MAX_CHARS, Utterance
from mmsr_env.tasks.base import find_task
from mmsr_env.types import Message, Task, Trajectory

RENDER_MODES = ("ansi", "rgb_array")
_OPTIONS = ("task", "training_step")


class NotResetError(EpisodeOrderError, ResetNeeded):
    """There is no episode under way: `reset` comes first."""


class NotTextError(MMSRError, TypeError, InvalidAction):
    """An action is not text."""


class MMSearchEnv(gymnasium.Env[dict[str, Any], str]):
    """A question about a picture, to be answered at once or after searching.

    ## Description
    The model is shown a picture and a question. In each turn it writes one message, which ends
    in an answer, in a search with the picture, or in a search with words; results of a search
    are what it sees next. It should be right, and search only when it needs to. The task, its
    rules and its reward are MMSearch-R1's (arXiv 2506.20670).

    Without arguments the questions are about Atlas, a made-up encyclopedia of 1,000 entities
    that follows from a seed; it needs no files and no network.

    ## Action space
    `Utterance`: any text of up to 1,000,000 characters; a longer one is cut there. Whatever
    the text is, the step is valid. In the grammar `mmsearch_r1` it begins with
    `<reason>...</reason>` and ends in one of these:

    | end of the message | meaning |
    |---|---|
    | `<answer>text</answer>` | the answer; ends the episode |
    | `<search><img></search>` | search with the task's picture; in the first turn only |
    | `<text_search>query</text_search>` | search with words |
    | anything else | malformed: ends the episode, or brings a correction (`on_malformed`) |

    A search in the last turn, or beyond the searches allowed, is malformed too.

    ## Observation space
    A `Dict`:

    | key | space | what it is |
    |---|---|---|
    | `text` | `Utterance` | the text of the newest message to the model; "" at the end |
    | `images` | `Sequence(Picture)` | its pictures at full size, [H, W, 3] uint8 RGB |
    | `turns_left` | `Discrete` | messages that the model may still write |
    | `searches_left` | `Discrete` | searches that it may still make |
    | `image_search_allowed` | `Discrete(2)` | whether the next one may be with the picture |

    `messages()` gives the whole conversation, pictures in their places, in the form that
    Hugging Face chat templates take (through wrappers: `env.unwrapped.messages()`).

    ## Info
    Always `task_id`, `question`, `kind` and `category`; after a step `action` (what it was
    understood as) and `problem` (what is wrong with its form); after a search `search_ok` and
    `search_cause`; at the end `stop_reason` and `reward_parts` (score, penalty, format).

    ## Reward
    0 until the end, then `(1 - a) * score * penalty + a * format`, a = 0.1: `score` is 1 for a
    right answer, `penalty` 0.9 if there was any search, else 1, and `format` 1 if every
    message was well formed and they led to an answer in one of the paper's orders: at once,
    after a search with the picture, after one with words, or after the one and then the other.

    | episode | reward |
    |---|---|
    | right, no search, format kept | 1.00 |
    | right, searched, format kept | 0.91 |
    | right, no search, format broken | 0.90 |
    | right, searched, format broken | 0.81 |
    | wrong, format kept | 0.10 |
    | wrong, format broken | 0.00 |

    ## Start
    A task drawn from the task set by the environment's random numbers; the same seed gives the
    same episodes, byte for byte. `reset(options=...)` takes `task`, one `Task` or the id or
    index of one in the task set, and `training_step`, for the reward's warm-up.

    ## End
    The episode terminates with an answer, with a malformed message under the rule "end", and
    with the last turn (3 by default) whatever it says. It never truncates by itself: that is
    for wrappers such as `TimeLimit`, which stop it for reasons outside the task.

    ## Arguments
    Each is plain data, so it can be given to `gymnasium.make` and kept in an `EnvSpec`, or is
    the object that the data stands for. An unknown key fails, with the nearest that is known.

    | argument | default | what it may be |
    |---|---|---|
    | `tasks` | "atlas" | a name or path for `load_tasks`; a mapping of `spec` and more; tasks |
    | `search` | None | "atlas"; the folder of an index; a backend; None: the tasks' own world |
    | `rules` | None | a mapping of fields of `Rules`, such as `max_turns`; or one |
    | `reward` | None | a mapping of fields of `RewardRule`, such as `search_penalty`; or one |
    | `grammar` | "mmsearch_r1" | how actions are written |
    | `prompts` | "mmsearch_r1" | what the model is told |
    | `world` | None | Atlas: a mapping of `size`, `seed`, `familiar`, `difficulty` |
    | `render_mode` | None | "ansi": text with colours; "rgb_array": a picture |

    A step that searches blocks until the result is there. A failed search does not raise: the
    model is told, and the episode goes on.

    ## Version history
    * v0: the first.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        tasks: TaskSource = "atlas",
        search: SearchSource = None,
        rules: Rules | Mapping[str, Any] | None = None,
        reward: RewardRule | Mapping[str, Any] | None = None,
        grammar: str = "mmsearch_r1",
        prompts: str = "mmsearch_r1",
        world: WorldSource = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise InvalidSettingError(
                f"render_mode must be None or one of {RENDER_MODES}, got {render_mode!r}"
            )
        self.render_mode = render_mode
        self.rules = from_mapping(Rules, rules, "rules")
        self.reward = from_mapping(RewardRule, reward, "reward")
        self.grammar = get_grammar(grammar)
        self.prompts = get_prompts(prompts)
        self.tasks, self.search = make_sources(tasks, search, world)
        if self.search is None and self.rules.max_searches > 0:
            raise InvalidSettingError(
                f"the tasks {self.tasks.name!r} bring no search: give search=, or forbid it "
                "with rules={'max_searches': 0}"
            )
        self.action_space = Utterance(MAX_CHARS, grammar)
        self.observation_space = observation_space(self.rules)
        self._episode: Episode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seeds the choice of this task and the next ones; None goes on as it was.
            options: "task": a `Task`, or the id or index of one in the task set, instead of a
                drawn one. "training_step": the step, for the warm-up of the search penalty.

        Raises:
            UnknownNameError: There is no such option.
            UnknownTaskError: No task has the id.
            InvalidSettingError: An option has a wrong value.
        """
        super().reset(seed=seed)
        options = options or {}
        check_names("reset option", options, _OPTIONS)
        task = self._task(options.get("task"))
        step = options.get("training_step")
        if step is not None and (isinstance(step, bool) or not hasattr(step, "__index__")):
            raise InvalidSettingError(f"options['training_step'] must be an integer, got {step!r}")
        self._episode = Episode(
            task, self.rules, self.grammar, self.prompts, self.reward, step=step
        )
        return observe(self._episode, self._episode.opening), describe(self._episode, None)

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take the model's message; carry out the search that it asks for, if it asks for one.

        Raises:
            NotResetError: No episode is under way.
            NotTextError: The action is not text.
        """
        episode = self._begun("step")
        if episode.trajectory is not None:
            raise NotResetError("step: the episode has ended; call reset() to begin another")
        if not isinstance(action, str):
            raise NotTextError(f"step takes the model's message, a str; got {_kind(action)}")
        outcome = episode.submit(str(action[:MAX_CHARS]))
        if isinstance(outcome, SearchRequest):
            assert self.search is not None, "an episode that may not search asked for a search"
            outcome = episode.deliver(run_blocking(perform(self.search, outcome)))
        ended = isinstance(outcome, Trajectory)
        observation = observe(episode, outcome if isinstance(outcome, Message) else None)
        reward = outcome.reward if isinstance(outcome, Trajectory) else 0.0
        info = describe(episode, episode.turns[-1])
        return observation, reward, ended, False, info

    def render(self) -> str | Pixels | None:
        """The conversation so far, as a text ("ansi") or a picture ("rgb_array").

        Raises:
            NotResetError: There is no episode.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render_mode: give one to gymnasium.make")
            return None
        episode = self._begun("render")
        shown = (episode.task, episode.conversation, episode.trajectory)
        if self.render_mode == "ansi":
            from mmsr_env.rendering import to_ansi

            return to_ansi(*shown)
        from mmsr_env.frame import to_frame

        return to_frame(*shown)

    def messages(self) -> list[dict[str, Any]]:
        """The whole conversation in the form that Hugging Face chat templates take.

        Raises:
            NotResetError: There is no episode.
        """
        return to_messages(self._begun("messages").conversation)

    @property
    def trajectory(self) -> Trajectory | None:
        """The episode as a whole, once it has ended; None before."""
        return self._episode.trajectory if self._episode is not None else None

    def _begun(self, doing: str) -> Episode:
        if self._episode is None:
            raise NotResetError(f"{doing}: no episode has begun; call reset() first")
        return self._episode

    def _task(self, chosen: Any) -> Task:
        """The task that `options` ask for, or a drawn one."""
        if isinstance(chosen, Task):
            return chosen
        if chosen is None:
            return self.tasks[int(self.np_random.integers(len(self.tasks)))]
        if isinstance(chosen, str):
            return self.tasks[find_task(self.tasks, chosen)]
        if isinstance(chosen, bool) or not hasattr(chosen, "__index__"):
            raise InvalidSettingError(
                f"options['task'] must be a Task, an id or an index, got {_kind(chosen)}"
            )
        index = operator.index(chosen)
        if not 0 <= index < len(self.tasks):
            raise InvalidSettingError(
                f"options['task'] must lie in [0, {len(self.tasks)}), got {index}"
            )
        return self.tasks[index]


def _kind(value: object) -> str:
    return type(value).__name__
