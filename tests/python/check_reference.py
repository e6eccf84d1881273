"""Compare reference.py with every case of the fixtures: python check_reference.py [FOLDER ...].

Prints the largest difference of each case, relative to max(1, |expected|); beyond 1e-5 the exit
status is 1.
"""

import sys

import torch

import golden

TOLERANCE = 1e-5


def difference(found, expected):
    """Largest difference between two nested values; infinite when they are not alike."""
    if isinstance(expected, torch.Tensor):
        if found.shape != expected.shape or found.dtype != expected.dtype:
            return float("inf")
        gap = (found.double() - expected.double()).abs() / expected.double().abs().clamp(min=1.0)
        return gap.max().item()
    if isinstance(expected, dict):
        if found.keys() != expected.keys():
            return float("inf")
        return max((difference(found[k], expected[k]) for k in expected), default=0.0)
    if isinstance(expected, list):
        if len(found) != len(expected):
            return float("inf")
        return max((difference(f, e) for f, e in zip(found, expected, strict=True)), default=0.0)
    if isinstance(expected, float):
        return abs(found - expected) / max(1.0, abs(expected))
    return 0.0 if found == expected else float("inf")


def named(tensors, prefix):
    """The tensors whose name begins with prefix + "." (or is it), by the rest of their name."""
    return {
        n[len(prefix) :]: t for n, t in tensors.items() if n == prefix or n.startswith(prefix + ".")
    }


def without_key_bias(parameters):
    """Parameters with the keys' bias at a tenth of its size.

    Softmax does not see a shift common to all keys, so this bias has a zero gradient in theory and
    rounding noise in fact, which Adam enlarges: 1e-5 there is a matter of the thread count.
    """
    scaled = {}
    for name, tensor in parameters.items():
        if name.endswith("attn.c_attn.bias"):
            tensor = tensor.clone()
            third = len(tensor) // 3
            tensor[third : 2 * third] *= 0.1
        scaled[name] = tensor
    return scaled


def run(name, case, fixture, cases, tensors):
    """(fields, tensors) of one case, computed anew."""
    if name.startswith("refine."):
        return golden.refine(fixture, case)
    if name.startswith("train."):
        choices = (".indices", ".assign", ".pick")
        own = named(tensors, name)
        given = {n: t for n, t in own.items() if n in choices or n.endswith("_before")}
        return golden.train(fixture, case, given)
    if name == "adamw3":
        return golden.adamw3(fixture, case, cases["train.s2_hard_a500"])
    if name.startswith("val_"):
        return golden.validation(fixture, case), {}
    if name.startswith("generate."):
        return golden.generate(fixture, name, len(case)), {}
    raise SystemExit(f"golden.json: case {name!r} is of no known kind")


def check(folder):
    """Differences of every case of a folder, by name."""
    fixture, data, tensors = golden.Fixture.read(folder)
    forward = golden.forward_tensors(fixture)
    differences = {name: difference(found, tensors[name]) for name, found in forward.items()}
    used = {"idx", "targets", *forward}
    for name, case in data["cases"].items():
        fields, found = run(name, case, fixture, data["cases"], tensors)
        own = named(tensors, name)
        used |= {name + rest for rest in own}
        if name == "adamw3":
            found, own = without_key_bias(found), without_key_bias(own)
        differences[name] = max(difference(fields, case), difference(found, own))
    rates = data["lr_schedule"]
    differences["lr_schedule"] = difference(golden.lr_schedule([s for s, _ in rates]), rates)
    for name in sorted(set(tensors) - used):
        differences[f"{name} (no case computes it)"] = float("inf")
    return differences


def main():
    torch.set_num_threads(1)
    folders = sys.argv[1:] or [golden.REPOSITORY / "tests" / "fixtures" / name for name in ("original", "other_shape")]
    worst = 0.0
    for folder in folders:
        print(folder)
        for name, gap in check(folder).items():
            print(f"  {gap:8.1e}  {'' if gap <= TOLERANCE else 'TOO FAR '}{name!r}")
            worst = max(worst, gap)
    print(f"largest {worst:.1e}, tolerance {TOLERANCE:.0e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
