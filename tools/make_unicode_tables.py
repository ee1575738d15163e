"""Writes Sources/CLSTMShim/unicode_tables.inc: the kind and the lower case of every character.

Needs ICU with Python, in the version that knows Unicode 17.0: pip install icukit-pyicu==78.3.1.
"""

import itertools
import pathlib

import icu

UNICODE = "17.0"
CODES = range(0x110000)
BLOCK = 256

# The numbers of shim_character_kind.
SIGN, LETTER, MARK, DIGIT, SEPARATOR, JOIN_CONTROL = range(6)
CATEGORIES = {
    LETTER: "UPPERCASE_LETTER LOWERCASE_LETTER TITLECASE_LETTER OTHER_LETTER MODIFIER_LETTER LETTER_NUMBER",
    MARK: "NON_SPACING_MARK ENCLOSING_MARK COMBINING_SPACING_MARK",
    DIGIT: "DECIMAL_DIGIT_NUMBER OTHER_NUMBER",
    SEPARATOR: "SPACE_SEPARATOR LINE_SEPARATOR PARAGRAPH_SEPARATOR CONTROL_CHAR FORMAT_CHAR",
}
KINDS = {getattr(icu.UCharCategory, name): kind for kind, names in CATEGORIES.items() for name in names.split()}


def kind(code):
    def has(name):
        return icu.Char.hasBinaryProperty(code, getattr(icu.UProperty, name))

    # Circled letters and their like are symbols by category.
    found = KINDS.get(icu.Char.charType(code), LETTER if has("ALPHABETIC") else SIGN)
    if found == LETTER and has("IDEOGRAPHIC"):
        return SIGN
    return JOIN_CONTROL if found == SEPARATOR and has("JOIN_CONTROL") else found


def runs(kinds):
    """Where a kind begins, and which."""
    return [(i, kinds[i]) for i in range(len(kinds)) if i == 0 or kinds[i] != kinds[i - 1]]


def longest_gap(blocks):
    """The first and the end of the most blocks in a row that hold signs alone, between others."""
    used = [i for i, kinds in enumerate(blocks) if any(kinds)]
    start, end = max(itertools.pairwise(used), key=lambda pair: pair[1] - pair[0])
    return start + 1, end, used[-1] + 1


def lower(code):
    if 0xD800 <= code < 0xE000:
        return code
    text = str(icu.UnicodeString(chr(code)).toLower(icu.Locale.getRoot()))
    assert len(text) == 1 or (code, text) == (0x130, "i\u0307"), f"U+{code:04X} has a longer lower case"
    return ord(text) if len(text) == 1 else code


def lower_ranges():
    """Rows of first, last, step, difference: upper-case letters in line, or every other one."""
    rows = []
    for code in CODES:
        difference = lower(code) - code
        if difference == 0:
            continue
        first, last, step, before = rows[-1] if rows else (0, 0, 0, 0)
        if difference == before and code - last in ((1, 2) if first == last else (step,)):
            rows[-1] = first, code, code - last, difference
        else:
            rows.append((code, code, 1, difference))
    return rows


def table(declaration, items):
    """A C array, in lines of 120 columns."""
    lines = ["   "]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > 120:
            lines.append("   ")
        lines[-1] += f" {item},"
    return "\n".join([f"static const {declaration}[] = {{", *lines, "};\n"])


def main():
    assert icu.UNICODE_VERSION == UNICODE, f"this ICU knows Unicode {icu.UNICODE_VERSION}"
    kinds = [kind(code) for code in CODES]
    blocks = [tuple(kinds[i : i + BLOCK]) for i in range(0, len(kinds), BLOCK)]
    gap_start, gap_end, end = longest_gap(blocks)
    used = blocks[:gap_start] + blocks[gap_end:end]
    unique = {block: i for i, block in enumerate(dict.fromkeys(used))}
    firsts = itertools.accumulate((len(runs(block)) for block in unique), initial=0)
    pieces = [
        f"// Unicode {UNICODE}, by tools/make_unicode_tables.py: do not edit. unicode.c says what it means.\n"
        "// clang-format off\n",
        f"enum {{ GAP_START = 0x{gap_start * BLOCK:x}, GAP_END = 0x{gap_end * BLOCK:x} }};\n",
        table("uint8_t blocks", [str(unique[block]) for block in used]),
        table("uint16_t first_runs", map(str, firsts)),
        table("kind_run runs", [f"{{{start}, {kind}}}" for block in unique for start, kind in runs(block)]),
        table("lower_range lower_ranges", [f"{{0x{a:x}, 0x{b:x}, {c}, {d}}}" for a, b, c, d in lower_ranges()]),
    ]
    path = pathlib.Path(__file__).parents[1] / "Sources/CLSTMShim/unicode_tables.inc"
    path.write_text("\n".join(pieces), encoding="ascii")


if __name__ == "__main__":
    main()
