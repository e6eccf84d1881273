"""Open a checkpoint of the Rust program as the original would: python interchange.py CHECKPOINT.

Checks the file's form, loads it strictly into the reference model and AdamW, trains one real step
and prints one JSON object. Any fault is a sentence on stderr and exit status 1.
  --idx JSON              nested list of token ids (B, T); "energies" of it go into the object
  --text FILE             text for the batches (else the configured data_path, else repeated ids)
  --resave PATH           train on in PyTorch and save in the original's format (no `nanoebm` key)
  --steps N               how many steps --resave trains (1)
  --compile-prefix PATH   save with the `_orig_mod.` prefix of a compiled model
"""

import argparse
import copy
import json
import sys
from pathlib import Path

import torch

import reference

TOP_LEVEL = {"model", "optimizer", "step", "config"}
OURS = "nanoebm"
CONFIG = {
    "model",
    "data",
    "train",
    "out_dir",
    "wandb_project",
    "wandb_name",
    "save_interval",
    "load_checkpoint",
}
HEAD, EMBEDDING = "transformer.lm_head.weight", "transformer.transformer.wte.weight"


class Fault(Exception):
    """The file is not what the original would have written."""


def require(condition, message):
    if not condition:
        raise Fault(message)


def read(path):
    """The checkpoint, loaded with and without mmap; both must agree."""
    checkpoint = torch.load(path, weights_only=True)
    mapped = torch.load(path, weights_only=True, mmap=True)
    keys = set(checkpoint)
    require(
        keys - {OURS} == TOP_LEVEL, f"top-level keys {sorted(keys)}, expected {sorted(TOP_LEVEL)}"
    )
    require(set(mapped) == keys, "mmap=True reads other top-level keys")
    require(type(checkpoint["step"]) is int, f"step is {checkpoint['step']!r}, expected an int")
    config = set(checkpoint["config"])
    require(config == CONFIG, f"config has keys {sorted(config)}, expected {sorted(CONFIG)}")
    state = checkpoint["model"]
    for name, tensor in state.items():
        require(torch.equal(tensor, mapped["model"][name]), f"{name} differs under mmap=True")
        require(tensor.dtype == torch.float32, f"{name} is {tensor.dtype}, expected float32")
        require(tensor.is_contiguous(), f"{name} is not contiguous")
    shared = (
        state[HEAD].untyped_storage().data_ptr() == state[EMBEDDING].untyped_storage().data_ptr()
    )
    require(shared, f"{HEAD} and {EMBEDDING} do not share one storage")
    return checkpoint


def build(checkpoint):
    """(model, optimizer) with the checkpoint's state, both loaded strictly."""
    model = reference.EBM(reference.ModelConfig(**checkpoint["config"]["model"]))
    model.load_state_dict(checkpoint["model"], strict=True)
    names, expected = list(checkpoint["model"]), list(model.state_dict())
    require(names == expected, f"state dict order {names}, expected {expected}")
    optimizer = torch.optim.AdamW(model.parameters())
    fresh = set(optimizer.state_dict()["param_groups"][0])
    saved = checkpoint["optimizer"]
    require(set(saved) == {"state", "param_groups"}, f"optimizer keys {sorted(saved)}")
    for group in saved["param_groups"]:
        require(set(group) == fresh, f"param_group keys {sorted(group)}, expected {sorted(fresh)}")
    optimizer.load_state_dict(saved)
    check_moments(model, saved["state"])
    return model, optimizer


def check_moments(model, state):
    """AdamW's own load looks at the number of parameters only, so the shapes are checked here."""
    for i, (name, parameter) in enumerate(model.named_parameters()):
        require(i in state or not state, f"optimizer has no state for parameter {i}, {name}")
        for key in ("exp_avg", "exp_avg_sq") if i in state else ():
            shape = state[i][key].shape
            require(shape == parameter.shape, f"{key} of {name} is {tuple(shape)}")
        if i in state:
            step = state[i]["step"]
            alike = step.shape == () and step.dtype == torch.float32
            require(alike, f"optimizer step of {name} is {step!r}, expected a float32 scalar")


def token_stream(path, config):
    """Token ids to train on, and where they came from."""
    size = config["model"]["vocab_size"]
    beside_tests = Path(__file__).resolve().parents[2] / "shakespeare.txt"
    for file in [path] if path else [config["data"]["data_path"], beside_tests]:
        if not Path(file).is_file():
            require(not path, f"{file}: no such text")
            continue
        text = Path(file).read_text(encoding="utf-8")
        stoi = reference.vocabulary(text)
        if len(stoi) == size:
            return torch.tensor([stoi[c] for c in text]), str(file)
        require(not path, f"{file}: {len(stoi)} characters, the checkpoint has {size}")
    return torch.arange(4096).remainder(size), "repeated ids"


def batches(ids, config):
    """Seeded random windows: step -> (idx, targets)."""
    T, B = config["model"]["block_size"], config["data"]["batch_size"]
    generator = torch.Generator().manual_seed(0)

    def batch(_step):
        starts = torch.randint(len(ids) - T, (B,), generator=generator).tolist()
        chunk = torch.stack([ids[s : s + T + 1] for s in starts])
        return chunk[:, :-1], chunk[:, 1:]

    return batch


def train(model, optimizer, checkpoint, text, steps):
    """Train on; every parameter must stay finite and change."""
    config = checkpoint["config"]
    ids, source = token_stream(text, config)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    torch.manual_seed(0)
    start = checkpoint["step"]
    losses = reference.train_steps(
        model, optimizer, config["train"], batches(ids, config), start, steps
    )
    for name, parameter in model.named_parameters():
        require(parameter.isfinite().all().item(), f"{name} is not finite after training")
        require(not torch.equal(parameter, before[name]), f"{name} did not change in training")
    return losses, source


@torch.no_grad()
def checksums(model, idx):
    """Sums that tell two models apart, evaluation mode."""
    model.eval()
    text = model.read(idx)
    hidden, energies = text.h, text.e
    sums = {
        "idx": idx.tolist(),
        "hidden_sum": hidden.sum().item(),
        "energies_sum": energies.sum().item(),
    }
    sums |= {
        "hidden_abs_sum": hidden.abs().sum().item(),
        "energies_abs_sum": energies.abs().sum().item(),
    }
    return sums, energies.tolist()


def original_format(checkpoint, **changes):
    """The four keys the original writes."""
    return {
        key: changes.get(key, checkpoint[key]) for key in ("model", "optimizer", "step", "config")
    }


def resave(path, args, checkpoint):
    """--resave: train on from the file's state and save; returns the losses."""
    model, optimizer = build(copy.deepcopy(checkpoint))
    losses, _ = train(model, optimizer, checkpoint, args.text, args.steps)
    state = dict(model=model.state_dict(), optimizer=optimizer.state_dict())
    torch.save(original_format(checkpoint, **state, step=checkpoint["step"] + args.steps), path)
    return {"path": str(path), "step": checkpoint["step"] + args.steps, "losses": losses}


def report(args):
    """Everything the Rust test reads."""
    checkpoint = read(args.checkpoint)
    model, optimizer = build(copy.deepcopy(checkpoint))
    config = checkpoint["config"]["model"]
    default = torch.arange(config["block_size"]).remainder(config["vocab_size"]).unsqueeze(0)
    idx = torch.tensor(json.loads(args.idx)) if args.idx else default
    sums, energies = checksums(model, idx)
    out = {"keys": list(checkpoint), "step": checkpoint["step"], "checksums": sums}
    out["parameters"] = sum(p.numel() for p in model.parameters())
    if args.idx:
        out["energies"] = energies
    losses, source = train(model, optimizer, checkpoint, args.text, 1)
    out |= {"train_loss": losses[0], "text": source}
    if args.resave:
        out["resaved"] = resave(args.resave, args, checkpoint)
    if args.compile_prefix:
        prefixed = type(checkpoint["model"])(
            (f"_orig_mod.{n}", t) for n, t in checkpoint["model"].items()
        )
        torch.save(original_format(checkpoint, model=prefixed), args.compile_prefix)
        out["compile_prefix"] = args.compile_prefix
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("--idx")
    parser.add_argument("--text")
    parser.add_argument("--resave")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--compile-prefix")
    args = parser.parse_args()
    torch.set_num_threads(1)
    try:
        print(json.dumps(report(args)))
    except Exception as error:  # Whatever torch says about the file is what the test should show.
        print(f"{args.checkpoint}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
