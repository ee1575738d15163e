#!/usr/bin/env python3
"""Prints the cases of PhiloxTests.swift: blocks of numpy's Philox (4x64-10) for keys and counters.

python3 make_philox_cases.py
"""

import numpy

CASES = [
    ((0, 0), (0, 0, 0, 0)),
    ((2**64 - 1, 2**64 - 1), (2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)),
    ((1, 2), (3, 4, 5, 6)),
    (
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
    ),
    ((5, 1), (7, 0, 0, 0)),
]

for key, counter in CASES:
    # numpy counts up before it makes a block.
    number = sum(word << (64 * place) for place, word in enumerate(counter)) - 1
    words = [(number % 2**256) >> (64 * place) & (2**64 - 1) for place in range(4)]
    generator = numpy.random.Philox(counter=numpy.array(words, numpy.uint64), key=numpy.array(key, numpy.uint64))
    block = generator.random_raw(4)
    text = ["(" + ", ".join(f"0x{int(word):x}" for word in words) + ")" for words in (key, counter, block)]
    print(f"    ({', '.join(text)}),")
