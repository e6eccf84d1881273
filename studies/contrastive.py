#!/usr/bin/env python3
"""Prints the tables of docs/contrastive.md from the runs of scripts/study-contrastive."""

import glob
import json
import statistics
import sys

KINDS = [
    ("default-none", "none"),
    ("default-cd_l2_0", "cd, `contrastive_l2=0`"),
    ("default-cd", "cd"),
    ("default-pcd", "pcd"),
    ("default-fast_pcd", "fast_pcd"),
    ("upstream-none", "upstream, none"),
    ("upstream-cd", "upstream, cd"),
    ("upstream-pcd", "upstream, pcd"),
    ("upstream-fast_pcd", "upstream, fast_pcd"),
]
SEEDS = [1, 2, 3]
STEPS = [0, 50, 100, 250, 500, 1000, 1500, 1990]
LEVELS = [
    ("energy_data", "text (E+)"),
    ("energy_negatives", "negatives (E-)"),
    ("energy_system1", "System 1's tokens"),
    ("energy_random", "random tokens"),
]


def spread(values, digits):
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def rows(out, run):
    [path] = glob.glob(f"{out}/{run}/*/metrics.jsonl")
    return {row["step"]: row for row in map(json.loads, open(path)) if "loss" in row}


def separations(out):
    print("| training | validation NLL | one character changed | words shuffled | uniform noise |\n|---|---|---|---|---|")
    for kind, label in KINDS:
        reports = [json.load(open(f"{out}/{kind}-{seed}.json")) for seed in SEEDS]
        cells = [spread([report["nll_s1"] for report in reports], 4)]
        for corruption in ["one_character", "shuffled_words", "uniform_noise"]:
            by = {s: [report["separation"][corruption][s] for report in reports] for s in ["energy", "nll"]}
            cells.append(f"{spread(by['energy'], 3)} ({statistics.mean(by['nll']):.3f})")
        print(f"| {label} | {' | '.join(cells)} |")


def energies(out):
    print(f"| training | energy of | {' | '.join(map(str, STEPS))} |\n|---|---|{'---|' * len(STEPS)}")
    for kind, label in KINDS:
        runs = [rows(out, f"{kind}-{seed}") for seed in SEEDS]
        for key, of in LEVELS:
            if key in runs[0][STEPS[0]]:
                means = [statistics.mean(run[step][key] for run in runs) for step in STEPS]
                print(f"| {label} | {of} | {' | '.join(f'{mean:.2f}' for mean in means)} |")


if __name__ == "__main__":
    separations(sys.argv[1])
    print()
    energies(sys.argv[1])
