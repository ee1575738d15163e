"""Writes text_cases.json, what TextTests.swift expects of the tokenizer and the vocabulary. Needs regex, from PyPI.

The rule for words stands here a second time, as regular expressions over Unicode properties. Python's decoder judges
UTF-8, and collections.Counter counts tokens.
"""

import collections
import json
import pathlib
import unicodedata

import regex

LETTER = r"[\p{Alphabetic}--\p{M}--\p{Ideographic}]"
IN_WORD = r"[[\p{Alphabetic}\p{N}--\p{Ideographic}]\p{M}]"
LETTER_BEFORE = r"(?<=[[\p{Alphabetic}--\p{Ideographic}]\p{M}])"
WORD = rf"{IN_WORD}(?:{IN_WORD}|{LETTER_BEFORE}['\u2019\u200c\u200d](?={LETTER}))*"
SIGN = r"[^\p{Z}\p{Cc}\p{Cf}\p{M}]\p{M}*"
TOKEN = regex.compile(f"(?V1){WORD}|{SIGN}")

TEXTS = [
    "",
    " ",
    "\t\r\n \v\f",
    "The quick brown fox.",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG AND the lazy dog jumps over the quick brown fox",
    "Don't stop-believin', it's O'Reilly's '90s rock'n'roll!! 'quoted' ''x''",
    "don’t l’été ‘zitiert’ 5’6 a’5 5’a a''b a'’b e\u0301'a a'\u0301b",
    "tabs\tand\nnew\r\nlines\x01control\x7fdelete\x85next line\u2028paragraph\u2029end",
    "no\u00a0break\u3000wide\u2009thin",
    "3.14 1,000 x² H₂O ½ Ⅳ. 2nd 100% $5 #tag @user a_b C++ e.g. ...",
    "Über den Wölfen heißt es: „Große ÄPFEL“ – STRAẞE, Straße; Donau\u00addampf",
    "L'Été, ÇA VA? Œuvre « élevée » a\u0300 la E\u0301cole",
    "ΣΊΣΥΦΟΣ ΌΜΗΡΟΣ ἈΧΙΛΛΕΎΣ ᾼ ᾈ ᾩ",
    "İSTANBUL'DA Iğdır ILIK ısı DİYARBAKIR",
    "Ǆ ǅ ǆ Ⱥ Ⓐⓑ Ⅷ Ⴀ Ა Ꮳ 𐐀 Ω K Å",
    "人人生而自由,在尊严和权利上一律平等。",
    "すべての人間は、カタカナ ﾊﾝｶｸ ー 〇 〆 々 漢字kanji漢 葛\U000e0100飾",
    "한국어 문장입니다. ㄱㄴ",
    "ภาษาไทยไม่เว้นวรรค กำลังดี ๑๒๓",
    "हिन्दी में क्\u200dष और क्\u200cष, नहीं। \u200dक र्\u200d ",
    "می\u200cخواهم ۱۲\u200cها کتاب\u200c، שָׁלוֹם عَرَبِيّ",
    "👩\u200d👩\u200d👧 ❤\ufe0flove 👍🏽 🇩🇪 1\ufe0f\u20e3 🏴\U000e0067\U000e0062\U000e007f ☺",
    ",\u200da 👩\u200dx ❤\ufe0f\u200dy 漢\u200dz 漢'a ,'a",
    "\ufeffbyte order mark, zero\u200bwidth, word\u2060joiner, \u200eleft\u200f",
    "\u0301 \u0301a ,\u0301a \u0301\u0302 \u200d\u0301 a\u0301\u0302b 5\u0301'a",
    "\ue000 private \ufffd \U0001f9ff \U0010fffd",
    "𝐌𝐚𝐭𝐡 𝟙 🅰 ㊀ ㈱ ﬁ ŉ",
]

# Each is met after "ab" and before "c".
NOT_UTF8 = [
    "80", "bf", "c0", "c1", "f5", "f8", "fe", "ff",
    "c3", "e2", "e282", "f0", "f09f", "f09f98", "c328", "e228a1", "e28228", "f0288cbc", "f09028bc", "f0908c28",
    "c080", "c1bf", "e08080", "e09fbf", "f0808080", "f08fbfbf",
    "eda080", "edbfbf", "eda0bdedb882",
    "f4908080", "f5808080", "f7bfbfbf", "fbbfbfbfbf",
]  # fmt: skip

UTF8_EDGES = "\x01\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"


def characters_of_every_kind():
    """A text for each general category: character codes that have not changed since Unicode 3.2, between letters."""
    kinds = collections.defaultdict(list)
    for code in (*range(1, 0xD800), *range(0xE000, 0x110000)):
        character = chr(code)
        category = unicodedata.category(character)
        if category == unicodedata.ucd_3_2_0.category(character) and category != "Cn":
            kinds[category].append(character)
    for category in sorted(kinds):
        members = kinds[category]
        yield " ".join(f"A{c} {c}a1{c}'B" for c in members[:: max(1, len(members) // 12)])


def tokens(text, level, lower):
    found = TOKEN.findall(text) if level == "word" else list(text)
    return ["".join(c.lower() for c in token) if lower else token for token in found]


def token_case(text, level, lower):
    return {"text": text, "level": level, "lower": lower, "tokens": tokens(text, level, lower)}


def token_cases():
    ways = [("word", False), ("word", True), ("character", False), ("character", True)]
    for text in [*TEXTS, UTF8_EDGES]:
        yield from (token_case(text, level, lower) for level, lower in ways)
    yield from (token_case(text, "word", True) for text in characters_of_every_kind())


def error_cases():
    for middle in NOT_UTF8:
        for end in ("", "c"):
            data = b"ab" + bytes.fromhex(middle) + end.encode()
            try:
                data.decode()
            except UnicodeDecodeError as error:
                yield {"bytes": data.hex(), "offset": error.start}
            else:
                raise AssertionError(f"{data!r} is UTF-8")


def vocabulary_cases():
    words = [token for text in TEXTS for token in tokens(text, "word", True)]
    for found in ([], ["b"], list("cabbage"), list("zyxwvutsrqponmlkjihgfedcba"), words, words + words[::3]):
        counts = collections.Counter(found)
        yield {"tokens": found, "vocabulary": sorted(counts, key=lambda token: (-counts[token], token.encode()))}


def main():
    parts = {"tokens": token_cases(), "errors": error_cases(), "vocabularies": vocabulary_cases()}
    lines = [
        f'"{name}": [\n' + ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases) + "\n]"
        for name, cases in parts.items()
    ]
    path = pathlib.Path(__file__).with_name("text_cases.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")


if __name__ == "__main__":
    main()
