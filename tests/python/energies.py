"""Recomputes what tests/energies.rs found, in PyTorch: python energies.py CHECKPOINT OURS.safetensors.

Every gradient here is autograd's, of energies written as plain functions; prints {name: largest
difference as a share of the largest number}.
"""

import json
import math
import sys

import torch
import torch.nn.functional as F

import golden

checkpoint = torch.load(sys.argv[1], weights_only=True)
ours = golden.read_safetensors(sys.argv[2])
config = checkpoint["nanoebm"]["config"]["model"]
w = {name: tensor.clone().requires_grad_() for name, tensor in checkpoint["model"].items() if tensor.dim() or "scale" in name}
w.pop("transformer.lm_head.weight")
alpha, tau, lam = checkpoint["model"]["alpha"], config["softmax_temperature"], config["entropy_weight"]
C, H = config["n_embd"], config["n_head"]
idx, targets = ours["idx"], ours["targets"]
B, T = idx.shape


def linear(x, name):
    return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))


def norm(x, name):
    return F.layer_norm(x, (C,), w[name + ".weight"], w.get(name + ".bias"))


def blocks(x, attend):
    """The residual blocks; `attend(layer, q, k, v)` mixes, all (B, H, T, C / H)."""
    for i in range(config["n_layer"]):
        at = f"transformer.transformer.h.{i}."
        q, k, v = (
            z.view(B, T, H, C // H).transpose(1, 2)
            for z in linear(norm(x, at + "ln_1"), at + "attn.c_attn").split(C, 2)
        )
        y = attend(i, q, k, v).transpose(1, 2).reshape(B, T, C)
        x = x + linear(y, at + "attn.c_proj")
        x = x + linear(F.gelu(linear(norm(x, at + "ln_2"), at + "mlp.c_fc")), at + "mlp.c_proj")
    return norm(x, "transformer.transformer.ln_f")


causal = torch.ones(T, T).tril().bool()
read = {}


def text_attends(layer, q, k, v):
    read[layer] = (k, v)
    scores = (q @ k.transpose(2, 3) / math.sqrt(C // H)).masked_fill(~causal, -torch.inf)
    return scores.softmax(-1) @ v


def candidate_attends(layer, q, k, v):
    """Each candidate sees the text up to its place, and itself: written position by position."""
    keys, values = read[layer]
    out = []
    for t in range(T):
        seen = torch.cat([keys[:, :, : t + 1], k[:, :, t : t + 1]], 2)
        said = torch.cat([values[:, :, : t + 1], v[:, :, t : t + 1]], 2)
        scores = q[:, :, t : t + 1] @ seen.transpose(2, 3) / math.sqrt(C // H)
        out.append(scores.softmax(-1) @ said)
    return torch.cat(out, 2)


wpe = w["transformer.transformer.wpe.weight"][:T]
h = blocks(w["transformer.transformer.wte.weight"][idx] + wpe, text_attends)
head = w["energy_head.weight"]
e = h @ head.T


def entropy(p):
    return -(p * p.clamp_min(1e-30).log()).sum()


def mixture(x):
    p = (x / tau).softmax(-1)
    seen = torch.cat([h, p @ head], -1)
    correction = linear(F.gelu(linear(seen, "thinking.c_fc")), "thinking.c_proj")
    return p, e + correction * w["thinking.scale"].tanh()


def gradient(x):
    """What a step follows: dJ/dx, but for reread dF/dp."""
    if config["energy"] == "mixture":
        p, energies = mixture(x)
        if config["mixture_stopgrad"]:
            _, energies = mixture(x.detach())
        value = (p * energies).sum() - lam * entropy(p)
        return torch.autograd.grad(value, x, create_graph=True)[0]
    if config["energy"] == "reread":
        p = x.softmax(-1)
        grad = torch.autograd.grad(reread(p), p, create_graph=True)[0]
        return grad - (p * grad).sum(-1, keepdim=True)  # along the simplex
    return torch.autograd.grad(ebt(x), x, create_graph=True)[0]


def reread(p):
    """F(p) = <p, e> - H(p) + memory, a function of p."""
    scale = math.sqrt(C)
    V = p.size(-1)
    drive = linear(h, "thinking.c_h")
    for j in range(config["reread_chars"]):
        table = w["thinking.wce.weight"][j * V : (j + 1) * V] * scale
        said = table[idx]
        drive = drive + torch.cat([torch.zeros(B, j, said.size(-1)), said[:, : T - j]], 1)
    candidate = p @ (w["thinking.wte.weight"] * scale)
    missing = (drive - GAMMA * candidate @ w["thinking.c_fc.weight"].T).relu()
    return (p * e).sum() - entropy(p) + (missing**2).sum() / (2 * GAMMA)


def ebt(x):
    candidate = x.softmax(-1) @ (w["thinking.wte.weight"] * math.sqrt(C))
    out = blocks(candidate + wpe, candidate_attends)
    return (out @ w["thinking.head.weight"].T).sum()


GAMMA = 0.5


def centred(x):
    return x - x.mean(-1, keepdim=True)


x = ours["x.0"].clone().requires_grad_() if config["energy"] == "ebt" else -e
path = [x]
for _ in range(config["refine_steps"]):
    x = centred(x - alpha * gradient(x).clamp(-config["grad_clamp"], config["grad_clamp"]))
    path.append(x)
nll = F.cross_entropy(x.flatten(0, 1), targets.flatten())
aux = config["aux_ce_weight"]
loss = (1 - aux) * nll + aux * F.cross_entropy(path[0].flatten(0, 1), targets.flatten())
names = list(w)
grads = torch.autograd.grad(loss, [w[n] for n in names], allow_unused=True)
theirs = {f"x.{k}": x for k, x in enumerate(path)} | {"loss": loss.reshape(1)}
theirs |= {f"grad.{n}": torch.zeros_like(w[n]) if g is None else g for n, g in zip(names, grads)}


def difference(name):
    a, b = ours[name].reshape(-1).double(), theirs[name].detach().reshape(-1).double()
    floor = 1.0 if name.startswith("x.") else 1e-6
    return ((a - b).abs().max() / b.abs().max().clamp_min(floor)).item()


missing = sorted(set(theirs) - set(ours))
assert not missing, missing
print(json.dumps({name: difference(name) for name in theirs}))
