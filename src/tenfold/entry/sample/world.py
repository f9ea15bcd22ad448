"""The sample world as plain numbers and texts, the same for the same seed.

It knows of people, follows, posts and likes by their place in a list, and of no database.
"""

import random
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from uuid import UUID

from tenfold.entry.sample.words import FIRST_NAMES, GRAMMAR, LANGUAGES, LAST_NAMES, REPLIES, TRADES

DAY = 86_400_000
_SPAN = 120 * DAY
_BEFORE = 400 * DAY
_MASK = (1 << 64) - 1
_LANGUAGE_SHARES = (55, 14, 10, 10, 7, 4)
_REPLY_SHARE = 0.12
_FOLLOWERS_ONLY = 50  # one post in so many is for followers only
_MEAN_FOLLOWS = 18
_MEAN_LIKES = 1.6

PERSON, POST, FOLLOW, LIKE = range(4)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person as they describe themselves; `joined` is in Unix milliseconds."""

    handle: str
    name: str
    email: str
    bio: str
    language: str
    joined: int


def mixed(number: int) -> int:
    """Scatter a number over 64 bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class World:
    """A world of so many people and posts, ending at the instant `until` (Unix milliseconds).

    Follows go to few people mostly (Zipf–Mandelbrot, exponent 0.85), who also write more; likes follow the writers'
    fame and the luck of each post (Pareto). Posts are in the order of time; `reply_to[i]` is an earlier post, or -1.
    """

    def __init__(self, *, users: int, posts: int, seed: int, until: int) -> None:
        if users < 2:
            raise ValueError("a world needs two people at least")
        self.users = users
        self.seed = seed
        self.until = until
        self.start = until - _SPAN
        rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
        self._ranks = list(range(users))
        rng.shuffle(self._ranks)
        self._fame = [(rank + 8) ** -0.85 for rank in self._ranks]
        self._fame_sums = list(accumulate(self._fame))
        self._languages = rng.choices(range(len(LANGUAGES)), _LANGUAGE_SHARES, k=users)
        self.author = array("I", rng.choices(range(users), [fame**0.6 for fame in self._fame], k=posts))
        self.at = array("Q", sorted(self.start + int(_SPAN * rng.random() ** 0.7) for _ in range(posts)))
        self.reply_to = array("q", (self._answered(rng, index) for index in range(posts)))

    @property
    def posts(self) -> int:
        """How many posts there are."""
        return len(self.author)

    def somebody(self, index: int) -> Somebody:
        """The person at a place in the list; everybody joined before the first post, in the order of the list."""
        first = FIRST_NAMES[index % len(FIRST_NAMES)]
        last = LAST_NAMES[(index // len(FIRST_NAMES) + index) % len(LAST_NAMES)]
        turn = index // (len(FIRST_NAMES) * len(LAST_NAMES))
        handle = _plain(f"{first}_{last}") + (f"_{turn + 1}" if turn else "")
        trade = TRADES[mixed(self.seed << 20 ^ index) % len(TRADES)]
        joined = self.start - _BEFORE + _BEFORE * index // self.users
        language = LANGUAGES[self._languages[index]]
        return Somebody(handle, f"{first} {last}", f"{handle}@example.com", f"{trade.capitalize()}.", language, joined)

    def rank_of(self, person: int) -> int:
        """How many are more famous than this person."""
        return self._ranks[person]

    def text(self, post: int) -> str:
        """What a post says."""
        luck = mixed(self.seed * 1_000_003 + post)
        language = self.language(post)
        if self.reply_to[post] >= 0:
            return REPLIES[language][luck % len(REPLIES[language])]
        grammar = GRAMMAR[language]
        words = {}
        for part in ("opening", "middle", "ending", "thing", "place"):
            luck, choice = divmod(luck, len(grammar[part]))
            words[part] = grammar[part][choice]
        joint = "" if language == "ja" else " "
        middle = words["middle"].replace("{thing}", words["thing"]).replace("{place}", words["place"])
        return f"{words['opening']}{joint}{middle}{words['ending']}"

    def language(self, post: int) -> str:
        """The language a post is written in: its author's."""
        return self.language_of(self.author[post])

    def language_of(self, person: int) -> str:
        """The language that a person writes."""
        return LANGUAGES[self._languages[person]]

    def is_public(self, post: int) -> bool:
        """Whether everybody may read a post; what is answered always is, and so are the answers."""
        return self.reply_to[post] >= 0 or post % _FOLLOWERS_ONLY != _FOLLOWERS_ONLY - 1

    def newest_public(self, most: int) -> list[int]:
        """The newest public posts that answer nothing, oldest first."""
        newest = (post for post in range(self.posts - 1, -1, -1) if self.is_public(post) and self.reply_to[post] < 0)
        return list(islice(newest, most))[::-1]

    def root_of(self, post: int) -> int:
        """The post that began the conversation a post belongs to."""
        while self.reply_to[post] >= 0:
            post = self.reply_to[post]
        return post

    def follows(self) -> Iterator[tuple[int, list[int]]]:
        """Everybody with those they follow, in the order of the list."""
        rng = random.Random(self.seed + 1)  # noqa: S311
        people = range(self.users)
        for follower in people:
            wanted = min(1 + int(rng.expovariate(1 / _MEAN_FOLLOWS)), self.users - 1, 1000)
            chosen = set(rng.choices(people, cum_weights=self._fame_sums, k=wanted))
            chosen.discard(follower)
            yield follower, sorted(chosen)

    def likes(self) -> Iterator[tuple[int, list[int]]]:
        """Every post that is liked, with those who like it. A post for followers only has none."""
        rng = random.Random(self.seed + 2)  # noqa: S311
        mean_fame = sum(self._fame) / self.users
        for post in range(self.posts):
            if not self.is_public(post):
                continue
            fame = (self._fame[self.author[post]] / mean_fame) ** 0.5
            wanted = int(_MEAN_LIKES * 0.35 * fame * rng.paretovariate(1.5) + rng.random() * 0.5)
            if wanted:
                chosen = {int(rng.random() * self.users) for _ in range(min(wanted, self.users // 4, 2000))}
                chosen.discard(self.author[post])
                yield post, sorted(chosen)

    def followed_at(self, follower: int, followee: int) -> int:
        """When one began to follow the other."""
        return self.start - DAY + mixed(follower << 32 | followee) % DAY

    def liked_at(self, post: int, user: int) -> int:
        """When somebody liked a post: after it was written, soon mostly."""
        luck = (mixed(post << 32 | user) & 0xFFFF) / 0x10000
        return int(self.at[post] + 1 + (self.until - self.at[post] - 1) * luck**6)

    def id_of(self, kind: int, at: int, one: int, other: int = 0) -> UUID:
        """The UUIDv7 of a thing of this world: its instant, and bits that its place in the world decides."""
        tail = mixed(self.seed ^ (kind << 60) ^ (one << 30) ^ other) & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=at << 80 | 0x7 << 76 | (one & 0xFFF) << 64 | 0x2 << 62 | tail)

    def _answered(self, rng: random.Random, index: int) -> int:
        if index < 10 or rng.random() > _REPLY_SHARE:
            return -1
        earlier = index - 1 - min(int(rng.expovariate(0.02)), index - 1)
        return earlier if self.is_public_start(earlier) else -1

    @staticmethod
    def is_public_start(post: int) -> bool:
        """Whether a post can be answered by the world's rule, which looks at its place alone."""
        return post % _FOLLOWERS_ONLY != _FOLLOWERS_ONLY - 1


def _plain(name: str) -> str:
    """A name in the letters that handles are made of."""
    folded = unicodedata.normalize("NFKD", name.lower().replace("ø", "o").replace("ł", "l"))
    return "".join(letter for letter in folded if letter.isascii() and (letter.isalnum() or letter == "_"))
