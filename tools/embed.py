#!/usr/bin/env python3
"""Turns files into one C source with their bytes, verbatim (src/emit/embedded.h).

Usage: embed.py OUTPUT.c FILE...   Files are known by their base name, in the order given.
"""
import pathlib
import re
import sys


def identifier(name):
    return "text_" + re.sub(r"[^A-Za-z0-9]", "_", name)


def array(name, data):
    rows = [", ".join(str(byte) for byte in data[i:i + 20]) for i in range(0, len(data), 20)]
    body = ",\n    ".join(rows)
    return f"static const unsigned char {identifier(name)}[] = {{\n    {body}}};\n"


def main():
    output, *inputs = map(pathlib.Path, sys.argv[1:])
    files = [(path.name, path.read_bytes()) for path in inputs]
    empty = [name for name, data in files if not data]
    if empty or len({name for name, _ in files}) != len(files):
        sys.exit(f"embed.py: empty files {empty}, or two files of one name")
    lines = ["/* Written by tools/embed.py when the library is built. */\n",
             '#include "emit/embedded.h"\n\n']
    lines += [array(name, data) for name, data in files]
    lines.append("\nconst mn__embedded mn__embedded_files[] = {\n")
    lines += [f'    {{"{name}", {identifier(name)}, sizeof {identifier(name)}}},\n'
              for name, _ in files]
    lines.append("};\n\nconst size_t mn__embedded_count =\n"
                 "    sizeof mn__embedded_files / sizeof mn__embedded_files[0];\n")
    output.write_text("".join(lines))


if __name__ == "__main__":
    main()
