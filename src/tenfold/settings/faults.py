"""Faults: what is wrong with the settings, in one message that names every fault and no value."""

from collections.abc import Sequence


class BadSettings(Exception):
    """The settings are not usable; `problems` says why, one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(f"Settings: {self.problems[0]}")
        else:
            super().__init__("Settings: " + "".join(f"\n  - {problem}" for problem in self.problems))


def kind_of(value: object) -> str:
    """What sort of value this is, in words; never the value."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text" if value else "empty text"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else f"a {type(value).__name__}"
