"""Made texts for tests of drift, ordinary ones and other languages', and the model for them."""

# ruff: noqa: RUF001 - letters of other languages are what it is about

import random
from functools import cache

from sentiment.model import drift
from sentiment.model.drift import Reference
from sentiment.registry.publish import bundled_model
from sentiment.registry.registry import LoadedModel
from tests import compiled

_THINGS = (
    "film", "story", "acting", "hotel room", "food", "service", "battery", "book", "phone",
    "flight", "album", "game", "dress", "coffee", "staff", "ending", "camera", "show",
)  # fmt: skip
_GOOD = ("great", "wonderful", "excellent", "lovely", "perfect", "fun", "amazing", "good", "best")
_BAD = ("terrible", "awful", "boring", "poor", "broken", "disappointing", "bad", "rude", "worst")
_MIXED = ("okay", "average", "different", "cheap", "long", "loud", "small", "fine", "odd")
_REVIEWS = (
    "The {thing} was {word}.", "I thought the {thing} was {word}, really.",
    "{word} {thing}, and the {other} was {word2} too!", "Not sure about the {thing}: {word}.",
    "We were there last week. The {thing} was {word} and the {other} {word2}.",
    "My {thing} is {word} after two days", "@shop your {thing} is so {word} today",
)  # fmt: skip

# Openings and endings of tweets; each opening goes with each ending.
_TWEETS = {
    "es": (
        ("Hoy me desperté temprano y", "@ana no puedo creer que", "Otra vez en el trabajo,",
         "Mañana empiezan las vacaciones,", "Mi abuela siempre dice que"),
        ("el café estaba riquísimo", "se haya caído el internet", "perdimos dos a cero",
         "extraño muchísimo la playa", "nadie contesta los mensajes"),
    ),
    "de": (
        ("Heute morgen war", "Ich glaube langsam,", "@lena stell dir vor,",
         "Schon wieder Montag und", "Gestern Abend hieß es,"),
        ("der Zug ist viel zu spät", "das Essen schmeckt richtig lecker",
         "wir freuen uns aufs Wochenende", "niemand geht ans Telefon", "es regnet ununterbrochen"),
    ),
    "tr": (
        ("Bugün hava çok güzel,", "Yine geç kaldım çünkü", "@ayşe biliyor musun,",
         "Dün akşam maçta", "Sabahtan beri"),
        ("otobüs gelmedi", "yemekler harikaydı", "kimse telefonu açmıyor",
         "herkes çok yorgun", "trafik durmuş"),
    ),
    "ja": (
        ("今日はとても、", "また電車で、", "昨日の夜、", "友達によると、", "明日からずっと、"),
        ("いい天気でした", "疲れてしまった", "ラーメンが美味しい！", "雨が降るらしい",
         "試験が心配です"),
    ),
}  # fmt: skip
LANGUAGES = tuple(_TWEETS)


def reviews(count: int, seed: int = 0) -> list[str]:
    """Ordinary short texts of many kinds, about as many of them positive as of the reference's."""
    chance = random.Random(seed)  # noqa: S311 - made data, not secrets
    made = []
    for _ in range(count):
        words = chance.choices((_GOOD, _BAD, _MIXED), weights=(5, 4, 2))[0]
        thing, other = chance.sample(_THINGS, 2)
        word, word2 = chance.sample(words, 2)
        sentences = chance.choices(_REVIEWS, k=chance.choice((1, 1, 2, 3)))
        made.append(
            " ".join(s.format(thing=thing, other=other, word=word, word2=word2) for s in sentences)
        )
    return made


def tweets(language: str, count: int, seed: int = 0) -> list[str]:
    """Tweets in one of `LANGUAGES`."""
    chance = random.Random(seed)  # noqa: S311 - made data, not secrets
    openings, endings = _TWEETS[language]
    return [f"{chance.choice(openings)} {chance.choice(endings)}" for _ in range(count)]


@cache
def bundled() -> LoadedModel:
    """The bundled model with its reference."""
    return LoadedModel("sentiment", "1", compiled.bundled(), 0.0, drift.read(bundled_model()))


def reference() -> Reference:
    """That of the bundled model."""
    found = bundled().reference
    assert found is not None
    return found
