#!/usr/bin/env python3
"""Compares the stack that kernels in assembly push with what cli/boards.c says of them.

gcc's call graphs give such functions no frame. Each begins with a push of registers and takes no
other stack.

Usage: check_frames.py PROJECT_ROOT
"""
import pathlib
import re
import sys

FUNCTION = re.compile(r"^MN_S8_NAKED\s+void\s+(\w+)\(.*?^}", re.MULTILINE | re.DOTALL)
TOLD = re.compile(r'\{"(mn_s8_\w+)", (\d+)\}')


def registers(text):
    """Number of registers in a list such as r0, r4-r11, lr."""
    count = 0
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count


def pushed(body):
    """Bytes that a function pushes; -1 when it takes stack in a way that is not known here."""
    lists = re.findall(r'"push \{([^}]*)\}', body)
    if len(lists) != 1 or re.search(r'"(sub|str\w*|stmdb) +(sp\b|\w+, \[sp, #-|sp!)', body):
        return -1
    return 4 * registers(lists[0])


def main():
    root = pathlib.Path(sys.argv[1])
    told = {name: int(size) for name, size in TOLD.findall((root / "cli" / "boards.c").read_text())}
    found = {}
    for header in sorted((root / "src" / "kernels").glob("mn_s8_*.[ch]")):
        for match in FUNCTION.finditer(header.read_text()):
            found[match.group(1)] = pushed(match.group(0))
    for name in sorted(set(told) | set(found)):
        if told.get(name) != found.get(name):
            print(f"{name}: {found.get(name)} bytes pushed, cli/boards.c says {told.get(name)}")
    sys.exit(0 if found and told == found else 1)


if __name__ == "__main__":
    main()
