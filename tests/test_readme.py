"""The README does what it says: its snippets run, in their order, in one folder; its links lead
somewhere.

Python is run as it stands, and what it prints is compared with the text after it. So is bash,
except for the commands that `STAND_INS` replaces: those that take long are asked what they would
do, and those that would install are asked whether they could.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from PIL import Image

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/atlas.md", "docs/protocol.md")

STAND_INS = f"""
set -euo pipefail
make() {{ command make -n -C '{ROOT}' "$@"; }}          # the recipe is there; it is not run
mmsr-train() {{ command mmsr-train "$@" --cfg job; }}   # the settings compose; nothing is trained
pip() {{ printf '%s\\n' "$@" >> pip-arguments; }}       # looked at below; nothing is installed
"""


class Snippet(NamedTuple):
    language: str
    code: str
    line: int


def snippets(page: Path) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Snippet(m[1], m[2], text.count("\n", 0, m.start()) + 2) for m in found]


def execute(snippet: Snippet, folder: Path) -> str:
    """What a snippet prints, run with this environment's commands in a folder."""
    scripts = sysconfig.get_path("scripts")
    command = {
        "python": (sys.executable, "-W", "error", "-c", snippet.code),
        "bash": ("bash", "-c", STAND_INS + snippet.code),
    }[snippet.language]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"line {snippet.line}:\n{snippet.code}\n{done.stderr}"
    return done.stdout


def same_text(one: str, other: str) -> bool:
    return [x.rstrip() for x in one.splitlines()] == [x.rstrip() for x in other.splitlines()]


def add_what_the_reader_has(folder: Path) -> None:
    """The pictures that the README's files of JSON lines name."""
    for name, colour in (("heron.jpg", "grey"), ("wren.jpg", "brown")):
        Image.new("RGB", (64, 48), colour).save(folder / name)


def test_every_snippet_runs(tmp_path: Path) -> None:
    add_what_the_reader_has(tmp_path)
    printed, checked = "", 0
    for snippet in snippets(README):
        if snippet.language == "text":
            assert same_text(snippet.code, printed), f"line {snippet.line}: it prints\n{printed}"
            checked += 1
        else:
            printed = execute(snippet, tmp_path)
    assert checked, "no output is shown, so none was compared"
    given = (tmp_path / "pip-arguments").read_text(encoding="utf-8").split()
    check_installable(" ".join(given))


def test_what_is_installed_in_the_text_can_be() -> None:
    commands = re.findall(r"`pip (install [^`]+)`", README.read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        check_installable(command.replace("'", ""))


def check_installable(arguments: str) -> None:
    """Every argument of pip install is known: this project with extras that it has."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    extras = set(settings["options.extras_require"])
    words = iter(arguments.split())
    for word in words:
        if word == "-c":
            assert (ROOT / next(words)).is_file()
        elif word != "install":
            assert word.startswith("."), f"not this project: {word}"
            assert Requirement(f"mmsr{word[1:]}").extras <= extras, word


def test_a_snippet_that_fails_is_seen(tmp_path: Path) -> None:
    for broken in (
        Snippet("bash", "mmsr eval --agent nobody\necho later", 1),
        Snippet("bash", "make no-such-target", 1),
        Snippet("bash", "mmsr-train algo=nothing", 1),
        Snippet("python", "1 / 0", 1),
    ):
        with pytest.raises(AssertionError, match="line 1"):
            execute(broken, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for target in targets:
        if not re.match(r"https?://|#", target):
            path = target.partition("#")[0]
            assert ((ROOT / page).parent / path).is_file(), f"{page} links to {target}"
