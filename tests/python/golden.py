"""The cases of a fixture folder: how each is computed from checkpoint.pt by the reference model.

Shared by make_fixture.py, which writes the results, and check_reference.py, which compares them.
Nothing here is random: dropout and noise are 0, the step-size jitter is at its centre.
"""

import json
import struct
from pathlib import Path

import torch

import reference

REPOSITORY = Path(__file__).resolve().parents[2]
QUIET_CONFIG = dict(dropout=0.0, langevin_noise=0.0, langevin_noise_scale=0.0)
NAMES = {torch.int64: "I64", torch.float32: "F32"}
DTYPES = {name: dtype for dtype, name in NAMES.items()}


def read_safetensors(path):
    """A name -> tensor dictionary; only the two dtypes the fixtures use."""
    raw = bytearray(Path(path).read_bytes())
    (size,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    """Wide dtypes first, then by name, so that every tensor is aligned and the bytes are fixed."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, blobs, offset = {}, [], 0
    for name in order:
        tensor = tensors[name].detach().contiguous()
        blob = tensor.numpy().tobytes()
        span = [offset, offset + len(blob)]
        header[name] = dict(dtype=NAMES[tensor.dtype], shape=list(tensor.shape), data_offsets=span)
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


class Fixture:
    """A checkpoint, two windows and the text they came from."""

    def __init__(self, checkpoint, idx, targets, text):
        self.checkpoint, self.idx, self.targets, self.text = checkpoint, idx, targets, text
        self.stoi = reference.vocabulary(text)

    @classmethod
    def read(cls, folder):
        """(fixture, golden.json, golden.safetensors) of a folder."""
        folder = Path(folder)
        own = folder / "text.txt"
        text = (own if own.exists() else REPOSITORY / "shakespeare.txt").read_text(encoding="utf-8")
        golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
        tensors = read_safetensors(folder / "golden.safetensors")
        checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
        return cls(checkpoint, tensors["idx"], tensors["targets"], text), golden, tensors

    def model(self, over=None):
        """The checkpoint's model with some keys overridden, evaluation mode."""
        over = dict(over or {})
        switches = {"alpha_jitter": 0.0} | {k: over.pop(k) for k in list(over) if k in reference.SWITCHES}
        config = {**self.checkpoint["config"]["model"], **QUIET_CONFIG, **over}
        model = reference.EBM(reference.ModelConfig(**config), switches)
        model.load_state_dict(self.checkpoint["model"])
        if "alpha_value" in over:
            with torch.no_grad():
                model.alpha.fill_(over["alpha_value"])
        return model.eval()

    def optimizer(self, model):
        """AdamW with the checkpoint's state."""
        optimizer = torch.optim.AdamW(model.parameters())
        optimizer.load_state_dict(self.checkpoint["optimizer"])
        return optimizer


@torch.no_grad()
def forward_tensors(fixture):
    """Hidden states, energies and the two whole-sequence energies, evaluation mode."""
    model = fixture.model()
    text = model.read(fixture.idx)
    hidden, energies = text.h, text.e
    return {
        "hidden": hidden,
        "energies": energies,
        "compute_energy": model.compute_energy(fixture.idx),
        "compute_energy_from_logits": model.compute_energy_from_logits(-energies),
    }


def refine(fixture, case):
    """Fields and trajectory (steps taken + 1, B, T, V) of a `refine.*` case."""
    over = {
        "alpha_value": case["alpha"],
        "energy_convergence_threshold": case["threshold"],
        "use_soft_tokens": case["soft"],
        **case.get("over", {}),
    }
    model = fixture.model(over)
    trajectory = model.descend(model.read(fixture.idx), case["steps"], "batch")
    return {**case, "trajectory_len": len(trajectory)}, {"": torch.stack(trajectory).detach()}


def train(fixture, case, given):
    """Fields, logits and gradients of a `train.*` case; `given` holds its chains and choices."""
    over = case["over"]
    model = fixture.model(over).train()
    contrastive, draw = None, None
    if over.get("use_contrastive"):
        chains = given.get(".particles_before", given.get(".chains_before"))
        contrastive = reference.Contrastive(model, chains)
        draw = reference.Draw(given.get(".indices"), given.get(".assign"), given.get(".pick"))
    loss, logits, metrics = model(
        fixture.idx, fixture.targets, case["use_refine"], case["steps"], contrastive, draw
    )
    loss.backward()
    parameters = dict(model.named_parameters())
    tensors = {".logits": logits.detach()}
    tensors |= {f".grad.{n}": p.grad for n, p in parameters.items() if p.grad is not None}
    if contrastive is not None:
        tensors[".negatives"] = contrastive.negatives
        if contrastive.chains is not None:
            before = next(name for name in given if name.endswith("_before"))
            tensors |= given | {before.replace("_before", "_after"): contrastive.chains}
    no_grad = [n for n, p in parameters.items() if p.grad is None]
    return {**case, "loss": loss.item(), "metrics": metrics, "no_grad": no_grad}, tensors


def adamw3(fixture, case, train_case):
    """Three optimiser steps of `train.s2_hard_a500`: losses, gradient norms, final parameters."""
    model = fixture.model(train_case["over"]).train()
    optimizer = fixture.optimizer(model)
    for group in optimizer.param_groups:
        group["lr"] = case["lr"]
    history = []
    for _ in range(3):
        loss, _, _ = model(fixture.idx, fixture.targets, True, train_case["steps"])
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append([loss.item(), norm.item()])
    tensors = {f".param.{n}": p.detach() for n, p in model.named_parameters()}
    return {**case, "losses_and_grad_norms": history}, tensors


def validation(fixture, case):
    """Mean losses over the first windows, end to end, of the last tenth of the text."""
    model, T = fixture.model(), fixture.checkpoint["config"]["model"]["block_size"]
    data = torch.tensor([fixture.stoi[c] for c in fixture.text])
    data = data[int(0.9 * len(data)) :]
    sums = {"nll_s1": 0.0, "nll_s2": 0.0}
    for start in range(0, T * case["windows"], T):
        window = data[start : start + T + 1].unsqueeze(0)
        with torch.no_grad():
            _, _, metrics = model(window[:, :-1], window[:, 1:], True, case["refine_steps"])
        sums = {key: total + metrics[key] for key, total in sums.items()}
    return {**case, **{key: total / case["windows"] for key, total in sums.items()}}


def generate(fixture, name, length):
    """Greedy text, prompt included: `generate.top1.<fast|think>.<prompt>`, `length` characters."""
    _, _, mode, prompt = name.split(".", 3)
    itos = {i: ch for ch, i in fixture.stoi.items()}
    idx = torch.tensor([[fixture.stoi[c] for c in prompt]])
    out = fixture.model().generate(idx, length - len(prompt), 4 if mode == "think" else 0, topk=1)
    return "".join(itos[i] for i in out[0].tolist())


def lr_schedule(steps):
    """[step, rate] with the original's default settings."""
    return [[s, reference.get_lr(s, 2000, 100000, 3e-4, 3e-5)] for s in steps]
