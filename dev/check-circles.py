#!/usr/bin/env python3
"""Fails where targets, or the folders of one target, use each other in a circle.

Reads the compiler's index of the last debug build. The files beside a target's folders count as a folder of their own.

    dev/check-circles.py [--edges TARGET]    with the lines behind the folders' edges of one target
"""

import collections
import os
import sys

import index_store

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(ROOT, "Sources", "")
# Kinds that are no use of another place: whole modules, and names of parameters.
IGNORED = {"module", "parameter"}


def place(file):
    """Target and folder of a file."""
    parts = os.path.relpath(file, SOURCES).split("/")
    return parts[0], "/".join(parts[1:-1])


def circles(edges):
    """Groups of nodes that reach each other (Tarjan's algorithm, without recursion)."""
    order, low, stack, on_stack, found = {}, {}, [], set(), []
    for start in sorted(edges):
        if start in order:
            continue
        work = [(start, iter(sorted(edges[start])))]
        order[start] = low[start] = len(order)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(sorted(edges.get(target, ())))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    group = []
                    while True:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                        if group[-1] == node:
                            break
                    if len(group) > 1:
                        found.append(sorted(group))
    return found


def main():
    store = os.path.join(ROOT, ".build", "debug", "index", "store")
    occurrences = index_store.occurrences(store, SOURCES)
    homes = {}
    for item in occurrences:
        if item.roles & index_store.DEFINITION and item.kind != "extension":
            homes.setdefault(item.usr, item.file)
    targets, folders = collections.defaultdict(set), collections.defaultdict(lambda: collections.defaultdict(set))
    lines = collections.defaultdict(list)
    for item in occurrences:
        home = homes.get(item.usr)
        if not home or not item.roles & index_store.REFERENCE or item.kind in IGNORED:
            continue
        (own_target, own_folder), (target, folder) = place(item.file), place(home)
        if own_target != target:
            targets[own_target].add(target)
        elif own_folder != folder:
            folders[target][own_folder].add(folder)
            lines[target, own_folder, folder].append(
                f"{os.path.relpath(item.file, ROOT)}:{item.line}: {item.name}"
            )
    if not homes:
        raise SystemExit("the index is empty: build in debug first")
    if len(sys.argv) > 2:
        for (target, own, other), uses in sorted(lines.items()):
            if target == sys.argv[2]:
                print(f"{own or '.'} -> {other or '.'} ({len(uses)})", *sorted(set(uses))[:40], sep="\n    ")
    problems = [f"targets in a circle: {' '.join(group)}" for group in circles(targets)]
    for target, edges in sorted(folders.items()):
        for group in circles(edges):
            names = " ".join(name or "." for name in group)
            problems.append(f"folders of {target} in a circle: {names} (see {os.path.basename(__file__)} --edges {target})")
            for own in group:
                for other in group:
                    uses = sorted(set(lines.get((target, own, other), [])))
                    if uses:
                        problems.append(f"    {own or '.'} -> {other or '.'}: {len(uses)} uses, such as {uses[0]}")
    print("\n".join(problems) if problems else f"no circles among {len(set(targets) | set(folders))} targets")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
