"""Opens checkpoints with python/nanoebm.py: opened.py FOLDER. N.safetensors is what we computed with N.pt.

Prints a list of {"differences": {name: the largest}, "written": [...]}: for `energies`, `system1` and `system2.K`,
after K steps, of the texts `idx`, and for `next_logits.K` of `prompt`; and the tokens that are the likeliest after it,
as many as we wrote.
"""

import json
import sys
from pathlib import Path

import torch

import golden
from reference import nanoebm


def opened(file):
    model, ours = nanoebm.load(file), golden.read_safetensors(file.with_suffix(".safetensors"))
    idx, prompt, written = (ours.pop(name) for name in ("idx", "prompt", "written"))
    differences = {}
    for name, tensor in ours.items():
        compute, _, steps = name.partition(".")
        text = prompt if compute == "next_logits" else idx
        theirs = getattr(model, compute)(text, *([int(steps)] if steps else []))
        assert theirs.shape == tensor.shape, name
        differences[name] = (theirs - tensor).abs().max().item()
    text = model.generate(prompt, written.numel(), steps=3, sample=False)[0, prompt.size(1) :]
    return {"differences": differences, "written": text.tolist()}


torch.set_num_threads(1)
files = sorted(Path(sys.argv[1]).glob("*.pt"), key=lambda file: int(file.stem))
print(json.dumps([opened(file) for file in files]))
