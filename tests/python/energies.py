"""Recomputes with python/nanoebm.py what tests/energies/families.rs found: energies.py CHECKPOINT OURS.safetensors.

Prints {name: largest difference as a share of the largest number}: every prediction on the way, the loss, all
gradients, and whether the direction of each step is the slope of the energy.
"""

import json
import sys

import torch

import golden
from reference import nanoebm

model = nanoebm.load(sys.argv[1]).train()
ours = golden.read_safetensors(sys.argv[2])
idx, targets = ours["idx"], ours["targets"]

torch.manual_seed(7)  # EBT's noise is the first thing drawn, here as there
path = model.descend(model.read(idx), together="batch")
theirs = {f"x.{k}": x for k, x in enumerate(path)}
torch.manual_seed(7)
loss = model.loss(idx, targets)
names, weights = zip(*((name, weight) for name, weight in model.named_parameters() if f"grad.{name}" in ours))
grads = torch.autograd.grad(loss, weights, allow_unused=True)
theirs["loss"] = loss.reshape(1)
theirs |= {f"grad.{n}": torch.zeros_like(w) if g is None else g for n, w, g in zip(names, weights, grads)}

# reread's direction is closed form, and a gradient by p: softmax makes of it the gradient by x.
if model.config.energy == "reread":
    x = path[1].detach().requires_grad_()
    value, direction = model.slope(x, model.read(idx))
    ours["slope"], theirs["slope"] = x.softmax(-1) * direction, torch.autograd.grad(value.sum(), x)[0]


def difference(name):
    a, b = (side[name].detach().reshape(-1).double() for side in (ours, theirs))
    floor = 1.0 if name.startswith("x.") else 1e-6
    return ((a - b).abs().max() / b.abs().max().clamp_min(floor)).item()


missing = sorted(set(theirs) ^ (set(ours) - {"idx", "targets"}))
assert not missing, missing
print(json.dumps({name: difference(name) for name in theirs}))
