"""Opens variants of a checkpoint with python/nanoebm.py: variants.py CHECKPOINT.

Prints how far the energies of those that open are from the checkpoint's, and what is said of those that do not:
{"opened": {name: difference}, "refused": {name: message}}.
"""

import copy
import json
import sys
from pathlib import Path

import torch

from reference import nanoebm

path = Path(sys.argv[1])
checkpoint = torch.load(path, weights_only=True)
expected = nanoebm.load(path)
idx = torch.arange(expected.config.block_size)[None] % expected.config.vocab_size
HEAD = "energy_head.weight"


def renamed(prefix):
    return checkpoint | {"model": {prefix + name: tensor for name, tensor in checkpoint["model"].items()}}


def changed(change):
    """A checkpoint to which something was done."""
    copied = copy.deepcopy(checkpoint)
    change(copied)
    return copied


opens = {
    "compiled": renamed("_orig_mod."),
    "parallel": renamed("module."),
    "both": renamed("module._orig_mod."),
    "double": changed(lambda c: c["model"].update({HEAD: c["model"][HEAD].double()})),
}
written = path.read_bytes()
inside = written.index(checkpoint["model"][HEAD].numpy().tobytes())
flipped = bytearray(written)
flipped[inside] ^= 1
refuses = {
    "text": b"First Citizen",
    "cut": written[: len(written) // 2],
    "flipped": bytes(flipped),
    "layers": changed(lambda c: c["nanoebm"]["config"]["model"].update(n_layer=10**9)),
    "heads": changed(lambda c: c["nanoebm"]["config"]["model"].update(n_head=3)),
    "width": changed(lambda c: c["nanoebm"]["config"]["model"].update(n_embd=10**9)),
    "code": {"model": print},
    "list": [1, 2],
    "no_model": changed(lambda c: c.pop("model")),
    "no_config": changed(lambda c: c.pop("config")),
    "family": changed(lambda c: c["nanoebm"]["config"]["model"].update(energy="cubic")),
    "lacks": changed(lambda c: c["model"].pop(HEAD)),
    "belongs": changed(lambda c: c["model"].update(other=torch.zeros(1))),
    "shape": changed(lambda c: c["model"].update({HEAD: torch.zeros(2, 3)})),
    "nan": changed(lambda c: c["model"][HEAD][0].fill_(torch.nan)),
    "untied": changed(lambda c: c["model"].update({"transformer.lm_head.weight": c["model"][HEAD] + 1})),
}
opened, refused = {}, {}
for name, content in (opens | refuses).items():
    file = path.with_name(f"{name}.pt")
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    try:
        opened[name] = (nanoebm.load(file).energies(idx) - expected.energies(idx)).abs().max().item()
    except ValueError as error:
        refused[name] = str(error)

# The original's file: the same energies, its way of thinking, and no vocabulary.
torch.save({key: checkpoint[key] for key in ("model", "optimizer", "step", "config")}, path.with_name("original.pt"))
original = nanoebm.load(path.with_name("original.pt"))
opened["original"] = (original.energies(idx) - expected.energies(idx)).abs().max().item()
assert (original.config.refine_reduction, expected.config.refine_reduction) == ("mean", "sum")
for name, ask in {
    "vocabulary": lambda: original.generate("a", 1),
    "characters": lambda: expected.generate("aé", 1),
    "window": lambda: expected.energies(idx.repeat(1, 2)),
    "row": lambda: expected.energies(idx[0]),
    "steps": lambda: expected.system2(idx, -1),
}.items():
    try:
        ask()
    except ValueError as error:
        refused[name] = str(error)
print(json.dumps({"opened": opened, "refused": refused}))
