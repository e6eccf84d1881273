"""Write tests/fixtures/other_shape: python make_fixture.py. The same inputs give the same bytes.

Another shape than the original's (no biases, other sizes, three windows, 23 characters), trained for a
moment, and besides its cases those of the switches the original does not have.
"""

import collections
import dataclasses
import json

import torch

import golden
import reference

FOLDER = golden.REPOSITORY / "tests" / "fixtures" / "other_shape"
SEED = 20
VOCABULARY = 23
SLICE = slice(40_000, 92_000)  # long enough for 200 validation windows
STEPS = 60
MODEL = dict(vocab_size=VOCABULARY, block_size=24, n_layer=3, n_head=4, n_embd=12, bias=False)
DATA = dict(dataset="slice", data_path="text.txt", block_size=24, batch_size=16, num_workers=0)
TRAIN = dict(
    learning_rate=1e-2, beta1=0.9, beta2=0.95, weight_decay=0.1, grad_clip=1.0, decay_lr=True,
    warmup_iters=10, lr_decay_iters=2000, min_lr=3e-5, max_steps=STEPS, grad_accum_steps=1,
    eval_interval=500, eval_iters=50, log_interval=10, seed=SEED, device="cpu", dtype="float32",
    compile=False,
)  # fmt: skip
REST = dict(
    out_dir="out_ebt", wandb_project=None, wandb_name=None, save_interval=0, load_checkpoint=None
)

THINK = dict(alpha_value=500.0, energy_convergence_threshold=0.0)
WARM = dict(softmax_temperature=0.7, entropy_weight=0.3)
SUM = dict(refine_reduction="sum")
CHAINS = dict(use_contrastive=True, contrastive_k=2, contrastive_weight=0.2, langevin_step_size=0.5)
CD = dict(
    use_contrastive=True, contrastive_type="cd", contrastive_k=5, contrastive_weight=0.2,
    langevin_step_size=0.5,
)  # fmt: skip
POSITIVE = dict(contrastive_positive_grad=True)

# name: alpha, steps, soft, threshold, switches
REFINE = {
    "hard_default": (None, 4, False, 1e-4, {}),
    "hard_a500": (500.0, 4, False, 0.0, {}),
    "soft_a500": (500.0, 2, True, 0.0, {}),
    "hard_a5e4_clamp": (5e4, 6, False, 0.0, {}),
    "hard_early_stop": (500.0, 8, False, 1e9, {}),
    "hard_temp_entropy": (500.0, 3, False, 0.0, WARM),
    "hard_sum": (0.02, 3, False, 0.0, SUM),
    "hard_sum_grad_clamp": (2.0, 3, False, 0.0, SUM | dict(grad_clamp=0.05)),
    "hard_sum_max_move": (2.0, 3, False, 0.0, SUM | dict(think_max_move=0.25)),
    "soft_stopgrad_a500": (500.0, 2, True, 0.0, dict(mixture_stopgrad=True)),
    "soft_sum_temp_entropy": (1.0, 2, True, 0.0, SUM | WARM),
}

# name: refine?, steps, overrides
TRAINING = {
    "s1": (False, 0, {}),
    "s2_hard_default": (True, 4, {}),
    "s2_hard_a500": (True, 4, THINK),
    "s2_soft_a500": (True, 2, THINK | dict(use_soft_tokens=True)),
    "cd_k1": (True, 4, CD | dict(contrastive_k=1, contrastive_weight=0.1, langevin_step_size=0.01)),
    "cd_k5": (True, 4, CD),
    "pcd_k2": (True, 4, CHAINS | dict(contrastive_type="pcd", n_persistent=5)),
    "fast_pcd_k2": (
        True, 4, CHAINS | dict(contrastive_type="fast_pcd", n_chains=4, restart_prob=0.0)
    ),
    "s2_temp_entropy": (True, 2, THINK | WARM),
    "s2_soft_stopgrad": (True, 2, THINK | dict(use_soft_tokens=True, mixture_stopgrad=True)),
    "alpha_learnable": (
        True, 3, SUM | dict(alpha_learnable=True, alpha_value=0.5, energy_convergence_threshold=0.0)
    ),
    "info_nce": (True, 2, THINK | dict(info_nce_weight=0.5, info_nce_temperature=0.5)),
    "aux_ce": (True, 2, THINK | dict(aux_ce_weight=0.3)),
    "cd_positive_grad": (True, 4, CD | POSITIVE),
    "cd_next_token": (
        True, 4, CD | POSITIVE | dict(contrastive_energy="next_token", share_hidden=True)
    ),
}  # fmt: skip
PROMPTS = ("romeo", "the ", "menenius:\n")
GENERATED = 40
LR_STEPS = (0, 1, 10, 500, 1999, 2000, 2001, 5000, 50000, 99999, 100000, 100001)


def text_slice():
    """Some lower-cased Shakespeare, only its 23 commonest characters left."""
    text = (golden.REPOSITORY / "shakespeare.txt").read_text(encoding="utf-8")[SLICE].lower()
    counts = collections.Counter(text)
    kept = set(sorted(counts, key=lambda ch: (-counts[ch], ch))[:VOCABULARY])
    return "".join(ch for ch in text if ch in kept)


def windows(data, starts):
    """(idx, targets), both (len(starts), block_size)."""
    T = MODEL["block_size"]
    chunk = torch.stack([data[s : s + T + 1] for s in starts])
    return chunk[:, :-1].contiguous(), chunk[:, 1:].contiguous()


def trained_checkpoint(data):
    """A short training run with everything random on, in the original's file format."""
    config = reference.ModelConfig(**MODEL)
    model = reference.EBM(config)
    optimizer = reference.adamw(
        model, *(TRAIN[k] for k in ("learning_rate", "beta1", "beta2", "weight_decay"))
    )
    train = data[: int(0.9 * len(data))]
    last = len(train) - config.block_size

    def batch(_step):
        return windows(train, torch.randint(last, (DATA["batch_size"],)).tolist())

    losses = reference.train_steps(model, optimizer, TRAIN, batch, 0, STEPS)
    print(f"trained {STEPS} steps, loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": STEPS,
        "config": {"model": dataclasses.asdict(config), "data": DATA, "train": TRAIN, **REST},
    }


def given_for(name):
    """The chains and choices of a persistent case."""
    T, V = MODEL["block_size"], VOCABULARY
    if name == "pcd_k2":
        return {".particles_before": torch.randn(5, T, V), ".indices": torch.tensor([3, 0, 4])}
    if name == "fast_pcd_k2":
        choices = {".assign": torch.tensor([2, 0, 1, 0]), ".pick": torch.tensor([1, 3, 0])}
        return {".chains_before": torch.randn(4, T, V), **choices}
    return {}


def refine_cases(fixture):
    """(name, fields, tensors) of each refinement."""
    for name, (alpha, steps, soft, threshold, over) in REFINE.items():
        alpha = fixture.model().alpha.item() if alpha is None else alpha
        case = dict(alpha=alpha, steps=steps, soft=soft, threshold=threshold, over=over)
        yield f"refine.{name}", *golden.refine(fixture, case)


def train_cases(fixture):
    """(name, fields, tensors) of each loss."""
    for name, (use_refine, steps, over) in TRAINING.items():
        case = dict(use_refine=use_refine, steps=steps, over=over)
        yield f"train.{name}", *golden.train(fixture, case, given_for(name))


def compute(fixture):
    """golden.json and golden.safetensors."""
    tensors = {"idx": fixture.idx, "targets": fixture.targets, **golden.forward_tensors(fixture)}
    cases = {}

    def add(name, fields, found):
        cases[name] = fields
        tensors.update({name + rest: tensor for rest, tensor in found.items()})

    for case in [*refine_cases(fixture), *train_cases(fixture)]:
        add(*case)
    add("adamw3", *golden.adamw3(fixture, {"lr": 1e-3}, cases["train.s2_hard_a500"]))
    validation = golden.validation(fixture, dict(windows=200, refine_steps=4))
    add("val_first_200_windows", validation, {})
    for prompt in PROMPTS:
        for mode in ("fast", "think"):
            name = f"generate.top1.{mode}.{prompt}"
            add(name, golden.generate(fixture, name, len(prompt) + GENERATED), {})
    data = {
        "config_model": fixture.checkpoint["config"]["model"],
        "cases": cases,
        "lr_schedule": golden.lr_schedule(LR_STEPS),
        "torch": torch.__version__,
    }
    return data, tensors


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = text_slice()
    stoi = reference.vocabulary(text)
    data = torch.tensor([stoi[c] for c in text])
    (FOLDER / "text.txt").write_text(text, encoding="utf-8")
    torch.save(trained_checkpoint(data), FOLDER / "checkpoint.pt")
    held_out = int(0.9 * len(data))
    idx, targets = windows(data, [held_out + 5, held_out + 100, held_out + 333])
    # Read back, so that the numbers belong to the file.
    checkpoint = torch.load(FOLDER / "checkpoint.pt", weights_only=True)
    golden_json, tensors = compute(golden.Fixture(checkpoint, idx, targets, text))
    written = json.dumps(golden_json, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "golden.json").write_text(written, encoding="utf-8")
    golden.write_safetensors(FOLDER / "golden.safetensors", tensors)


if __name__ == "__main__":
    main()
