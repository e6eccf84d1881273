"""Times the original's behaviour in PyTorch (reference.py) as our `bench` times ours; prints one JSON object.

    bench.py train steps=5 key=value ...   steps of training; the keys are those of the model, batch_size and data_path
    bench.py sample key=value ...          4 steps of thinking: from 7 characters to a full window, then at a full window
    bench.py write FILE N                  loads a checkpoint and writes N characters
"""

import dataclasses
import json
import resource
import statistics
import sys
import time

import torch

import reference

FULL_WINDOW_TOKENS = 16
SETTINGS = dict(
    warmup_iters=2000, lr_decay_iters=100_000, learning_rate=3e-4, min_lr=3e-5, decay_lr=True,
    grad_clip=1.0,
)  # fmt: skip


def overrides(arguments):
    """key=value words by the model's own types, and the rest."""
    types = {f.name: type(f.default) for f in dataclasses.fields(reference.ModelConfig)}
    model, rest = {}, {"batch_size": 64, "data_path": "shakespeare.txt", "steps": 5}
    for key, value in (word.split("=", 1) for word in arguments):
        if key in types:
            model[key] = value == "true" if types[key] is bool else types[key](value)
        else:
            rest[key] = type(rest[key])(value)
    return model, rest


def read(path):
    text = open(path, encoding="utf-8").read()
    ids = reference.vocabulary(text)
    return torch.tensor([ids[ch] for ch in text]), len(ids)


def train(arguments):
    settings, rest = overrides(arguments)
    text, vocab_size = read(rest["data_path"])
    model = reference.EBM(reference.ModelConfig(**(settings | dict(vocab_size=vocab_size))))
    optimizer = reference.adamw(model, 3e-4, 0.9, 0.95, 0.1)
    T = model.config.block_size

    def batch(_step):
        starts = torch.randint(len(text) - T - 1, (rest["batch_size"],))
        windows = text[starts.unsqueeze(1) + torch.arange(T + 1)]  # (B, T + 1)
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()

    seconds = []
    for step in range(1000, 1001 + rest["steps"]):  # past the steps that train System 1 alone
        began = time.perf_counter()
        reference.train_steps(model, optimizer, SETTINGS, batch, step, 1)
        seconds.append(time.perf_counter() - began)
    return {"step_ms": 1e3 * statistics.median(seconds[1:])}


def sample(arguments):
    settings, rest = overrides(arguments)
    text, vocab_size = read(rest["data_path"])
    model = reference.EBM(reference.ModelConfig(**(settings | dict(vocab_size=vocab_size)))).eval()
    T, rates = model.config.block_size, {}
    for name, prompt, new in [("from_7_to_full", 7, T - 7), ("full_window", T, FULL_WINDOW_TOKENS)]:
        idx = model.generate(text[None, :prompt], 1, topk=50)  # reads the prompt, warms up
        began = time.perf_counter()
        model.generate(idx, new - 1, topk=50)
        rates[name] = (new - 1) / (time.perf_counter() - began)
    return {"sample_tokens_per_s": rates}


def write(arguments):
    checkpoint = torch.load(arguments[0], weights_only=True)
    model = reference.EBM(reference.ModelConfig(**checkpoint["config"]["model"])).eval()
    model.load_state_dict(checkpoint["model"])
    text, _ = read(checkpoint["config"]["data"]["data_path"])
    return {"tokens": model.generate(text[None, :6], int(arguments[1]), topk=50)[0].tolist()}


if __name__ == "__main__":
    result = {"train": train, "sample": sample, "write": write}[sys.argv[1]](sys.argv[2:])
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024e-3
    print(json.dumps(result))
