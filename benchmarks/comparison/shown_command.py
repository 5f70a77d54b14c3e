"""The command that made a file of results, as the file names it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

PATHS = ("--dataset", "--json", "--out", "--data", "--peers", "--targets")


def shown_command(arguments: Sequence[str], module: str) -> str:
    """With folders by their last name: results travel, this machine's folders don't."""
    words = ["python", "-m", module]
    previous = ""
    for word in arguments:
        option, equals, value = word.partition("=")
        if previous in PATHS:
            word = Path(word).name
        elif option in PATHS and equals:
            word = f"{option}={Path(value).name}"
        elif not word.startswith("-") and Path(word).is_absolute():
            word = Path(word).name
        words.append(word)
        previous = word
    return shlex.join(words)
