"""Model files damaged with understanding: the header edited as JSON and the checksum made right again, so that the
checks behind the checksum are reached. The layout is that of docs/file-format.md, written down here independently."""

import json
import random
import struct
import zlib

OPENING = b'{"__metadata__": {"checksum": "'
NUMBERS = [-1, 0, 1, 2.5, 5000, 40000, 2**31, 2**53, 2**64, 1e308, -0.0]
REPLACEMENTS = [None, True, "", "x", "\u0000\ud83d\ude00", [], {}, [None], [[[[]]]], "9" * 400, *NUMBERS]


class Pairs(list):
    """A JSON object as a list of (key, value), so that a key can stand twice."""


def split(file: bytes) -> tuple[Pairs, bytes]:
    (length,) = struct.unpack("<Q", file[:8])
    return json.loads(file[8 : 8 + length], object_pairs_hook=Pairs), file[8 + length :]


def text_of(value) -> str:
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {text_of(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return json.dumps(value)


def join(header: str | bytes, data: bytes) -> bytes:
    """A file with the right length, padding and checksum."""
    header = header if isinstance(header, bytes) else header.encode("utf-8", "surrogatepass")
    header += b" " * (-len(header) % 8)
    file = bytearray(struct.pack("<Q", len(header)) + header + data)
    place = 8 + len(OPENING)
    file[place : place + 8] = b"00000000"
    file[place : place + 8] = b"%08x" % zlib.crc32(file)
    return bytes(file)


def paths(value, path=()):
    """The path of every value inside, as keys and indices."""
    for index, item in enumerate(value if isinstance(value, list) else []):
        inner = item[1] if isinstance(value, Pairs) else item
        yield (*path, index)
        yield from paths(inner, (*path, index))


def edited(value, path, edit):
    """A copy in which `edit(container, index)` has changed the container of the last index of the path."""
    copy = type(value)(value)
    if len(path) == 1:
        edit(copy, path[0])
    else:
        item = copy[path[0]]
        inner = edited(item[1] if isinstance(value, Pairs) else item, path[1:], edit)
        copy[path[0]] = (item[0], inner) if isinstance(value, Pairs) else inner
    return copy


def replace_with(new):
    def edit(container, index):
        container[index] = (container[index][0], new) if isinstance(container, Pairs) else new

    return edit


def rename(container, index):
    if isinstance(container, Pairs):
        container[index] = (container[index][0] + "x", container[index][1])
    else:
        container.append(container[index])


def edits_of(value):
    """Each value in turn removed, doubled, moved to the end, renamed, and replaced by values of every kind."""
    moves = [list.__delitem__, lambda c, i: c.insert(i, c[i]), lambda c, i: c.append(c.pop(i)), rename]
    for path in paths(value):
        for edit in [*moves, *map(replace_with, REPLACEMENTS)]:
            yield edited(value, path, edit)


def damaged_headers(header: Pairs):
    """The header edited everywhere, and the description inside it edited everywhere."""
    yield from map(text_of, edits_of(header))
    metadata = header[0][1]
    place = [key for key, _ in metadata].index("description")
    description = json.loads(metadata[place][1], object_pairs_hook=Pairs)
    for changed in edits_of(description):
        yield text_of(edited(header, (0, place), replace_with(text_of(changed))))


def damaged_texts(header: bytes, count: int, generator: random.Random):
    """Bytes of the header changed, with no thought for JSON."""
    for _ in range(count):
        text = bytearray(header)
        for _ in range(generator.randrange(1, 4)):
            at = generator.randrange(len(OPENING) + 8, len(text))
            text[at] = generator.choice(b'"{}[]:,\\ 0123456789-+.eEtfnu\x00\x7f\x80\xc3\xff')
        yield bytes(text)


def damaged_data(data: bytes):
    yield from (b"", data[:-1], data[:-4], data + b"\0", data + bytes(4096), data[4:])
    for bits in (0x7FC00000, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x00000001):
        yield struct.pack("<I", bits) * (len(data) // 4)


def all_damages(file: bytes, texts: int, generator: random.Random):
    header, data = split(file)
    original = text_of(header).encode()
    for text in damaged_headers(header):
        yield join(text, data)
    for text in damaged_texts(original, texts, generator):
        yield join(text, data)
    for changed in damaged_data(data):
        yield join(original, changed)
    for length in range(0, len(original), 7):
        yield join(original[:length], data)
