#!/usr/bin/env python3
"""Packs the inputs of a folder into one file, and takes them out again.

  dev/fuzz-corpus.py pack FOLDER FILE [OCTETS]   the smallest first, up to so many octets in all (150,000)
  dev/fuzz-corpus.py unpack FILE FOLDER

A file holds each input with its length in front: four octets, the highest first.
"""
import hashlib
import pathlib
import struct
import sys


def pack(folder, file, limit=150_000):
    inputs = sorted({path.read_bytes() for path in pathlib.Path(folder).iterdir() if path.is_file()}, key=lambda i: (len(i), i))
    packed = b""
    for item in inputs:
        if len(packed) + len(item) + 4 > limit:
            break
        packed += struct.pack(">I", len(item)) + item
    pathlib.Path(file).write_bytes(packed)


def unpack(file, folder):
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(file)
    rest = path.read_bytes() if path.exists() else b""
    while len(rest) >= 4:
        length = struct.unpack(">I", rest[:4])[0]
        item, rest = rest[4:4 + length], rest[4 + length:]
        (target / hashlib.sha1(item).hexdigest()).write_bytes(item)


if len(sys.argv) < 4 or sys.argv[1] not in ("pack", "unpack"):
    sys.exit(__doc__)
if sys.argv[1] == "pack":
    pack(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
else:
    unpack(sys.argv[2], sys.argv[3])
