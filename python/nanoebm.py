"""Opens nanoebm's checkpoints in PyTorch: every family of energies, with the numbers of the Rust programs.

    model = nanoebm.load("out_ebt/final.pt")
    print(model.generate("ROMEO:", 200))

The model is a torch.nn.Module like any other. It needs torch and nothing else. Letters: B batch, T time, C n_embd,
V vocabulary. The sign rule: logit = -energy. The one idea: x <- x - alpha * grad E(x) + noise, in `EBM.descend`.
"""

import math
import re
import zipfile
from contextlib import nullcontext
from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# The original's behaviour, for its files, which hold its own settings only. Ours say what they do otherwise.
ORIGINAL = dict(
    vocab_size=256, block_size=256, n_layer=6, n_head=6, n_embd=384, dropout=0.1, bias=True, refine_steps=4,
    alpha_value=0.02, langevin_noise=0.005, energy_convergence_threshold=1e-4, use_soft_tokens=False, energy="linear",
    refine_reduction="mean", softmax_temperature=1.0, entropy_weight=0.0, think_max_move=0.0, mixture_stopgrad=False,
    alpha_learnable=False, alpha_jitter=0.1, grad_clamp=5.0, aux_ce_weight=0.0, adaptive=False, reread_chars=5,
)  # fmt: skip

NO_VOCABULARY = (
    "This checkpoint carries no vocabulary, as the original's do not. Set model.vocab to the sorted characters of the"
    ' text that it was trained on: "".join(sorted(set(text))).'
)


class Attention(nn.Module):
    """Causal self-attention; queries, keys and values come from one projection."""

    def __init__(self, c):
        super().__init__()
        self.n_head, self.dropout = c.n_head, c.dropout
        self.c_attn = nn.Linear(c.n_embd, 3 * c.n_embd, bias=c.bias)
        self.c_proj = nn.Linear(c.n_embd, c.n_embd, bias=c.bias)

    def forward(self, x, text=None):
        """With the keys and values of a text, x are candidates for what follows each of its tokens."""
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)  # (B, heads, T, d)
        if text is None:
            p = self.dropout if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        else:  # each candidate sees the text up to its place, and itself
            keys, values = text
            later = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
            others = (q @ keys.transpose(2, 3)).masked_fill(later, -torch.inf)
            itself = (q * k).sum(-1, keepdim=True)
            att = (torch.cat([others, itself], -1) / math.sqrt(q.size(-1))).softmax(-1)  # (B, heads, T, T + 1)
            y = att[..., :T] @ values + att[..., T:] * v
        y = self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return F.dropout(y, self.dropout, self.training), (k, v)


class Mlp(nn.Module):
    """Four times wider, exact GELU, back."""

    def __init__(self, c):
        super().__init__()
        self.dropout = c.dropout
        self.c_fc = nn.Linear(c.n_embd, 4 * c.n_embd, bias=c.bias)
        self.c_proj = nn.Linear(4 * c.n_embd, c.n_embd, bias=c.bias)

    def forward(self, x):
        return F.dropout(self.c_proj(F.gelu(self.c_fc(x))), self.dropout, self.training)


class Block(nn.Module):
    """One residual layer."""

    def __init__(self, c):
        super().__init__()
        self.ln_1 = nn.LayerNorm(c.n_embd, bias=c.bias)
        self.attn = Attention(c)
        self.ln_2 = nn.LayerNorm(c.n_embd, bias=c.bias)
        self.mlp = Mlp(c)

    def forward(self, x, text=None):
        y, kv = self.attn(self.ln_1(x), text)
        x = x + y
        return x + self.mlp(self.ln_2(x)), kv


class Transformer(nn.Module):
    """minGPT's, with the norms before the layers."""

    def __init__(self, c):
        super().__init__()
        self.dropout = c.dropout
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(c.vocab_size, c.n_embd)
        self.transformer.wpe = nn.Embedding(c.block_size, c.n_embd)
        self.transformer.h = nn.ModuleList(Block(c) for _ in range(c.n_layer))
        self.transformer.ln_f = nn.LayerNorm(c.n_embd, bias=c.bias)
        self.lm_head = nn.Linear(c.n_embd, c.vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight  # tied; it is in every checkpoint, and no energy uses it

    def forward(self, x, text=None):
        """Tokens (B, T) or embeddings (B, T, C) -> hidden states (B, T, C), and the keys and values of each layer."""
        parts = self.transformer
        if x.size(1) > parts.wpe.num_embeddings:
            raise ValueError(f"This model reads {parts.wpe.num_embeddings} tokens at once, and was given {x.size(1)}.")
        x = parts.wte(x) if x.dim() == 2 else x
        x = x + parts.wpe.weight[: x.size(1)]
        x = F.dropout(x, self.dropout, self.training and text is None)
        kept = []
        for i, block in enumerate(parts.h):
            x, kv = block(x, text[i] if text else None)
            kept.append(kv)
        return parts.ln_f(x), kept


class EBM(nn.Module):
    """energy=linear, the original's: thinking descends J(x) = <p, e> - lambda H(p), where p = softmax(x / tau)."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.vocab = None  # all characters in the order of their ids
        self.transformer = Transformer(config)
        self.energy_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        alpha = torch.tensor(float(config.alpha_value))
        if config.alpha_learnable:
            self.alpha = nn.Parameter(alpha)
        else:
            self.register_buffer("alpha", alpha)

    # What a family says of itself: what it reads of a text, and the energy of a prediction.

    def read(self, idx):
        """What is known after each position of a text (B, T): System 1's energies e (B, T, V), and more."""
        V = self.config.vocab_size
        if idx.dim() != 2 or idx.numel() and not (0 <= idx.min() and idx.max() < V):
            raise ValueError(f"A text is tokens (B, T) from 0 to {V - 1}; this one has the shape {list(idx.shape)}.")
        h, kv = self.transformer(idx)
        return SimpleNamespace(e=self.energy_head(h), h=h, kv=kv)

    def energies_given(self, p, text):
        """The energy of every next token (B, T, V) where the prediction p (B, T, V) is known as well."""
        if not self.config.use_soft_tokens:
            return text.e
        soft = p @ self.transformer.transformer.wte.weight  # the prediction takes the text's place
        soft = soft.detach() if self.config.mixture_stopgrad else soft
        # Fused attention has no second derivative, which training needs.
        with sdpa_kernel(SDPBackend.MATH) if self.training else nullcontext():
            return self.energy_head(self.transformer(soft)[0])

    def energy(self, x, text):
        """The energy of each position (B, T, 1) of a prediction x (B, T, V)."""
        log_p = (x / self.config.softmax_temperature).log_softmax(-1)
        p = log_p.exp()
        e = self.energies_given(p, text)
        return (p * (e + self.config.entropy_weight * log_p)).sum(-1, keepdim=True)

    def slope(self, x, text):
        """The energy (B, T, 1), and the direction (B, T, V) that a step goes against: the gradient by x."""
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            energy = self.energy(x, text)
            (grad,) = torch.autograd.grad(energy.sum(), x, create_graph=self.training)
        return energy, grad

    # The same for all families.

    def descend(self, text, steps=None, together="text"):
        """Every prediction on the way down, System 1's first: x <- x - alpha * slope + noise.

        Those who think together share a mean energy and stop together: the positions of a "text" as in `eval`, of the
        whole "batch" as in training, or each "position" alone as in `sample`.
        """
        c, dims = self.config, dict(batch=(0, 1, 2), text=(1, 2), position=(2,))[together]
        steps = c.refine_steps if steps is None else steps
        if steps < 0:
            raise ValueError(f"There cannot be {steps} steps of thinking.")
        x = -text.e if self.training else -text.e.detach()
        path, before, calm = [x], math.inf, 0
        still = torch.zeros(1, 1, 1, dtype=torch.bool, device=x.device)
        adaptive = c.adaptive and not self.training
        for step in range(steps):
            energy, grad = self.slope(x, text)
            mean = energy.mean(dims, keepdim=True)
            if c.refine_reduction == "mean":
                grad = grad * (mean.numel() / energy.numel())
            # Two changes below the threshold are the last; each position's first one, where they stop on their own.
            now = (energy if adaptive else mean).detach()
            calm = (calm + 1) * ((now - before).abs() < c.energy_convergence_threshold)
            before = now
            still = still | (calm >= 1) if adaptive else still
            x = torch.where(still, x, self.move(x, grad, step, steps))
            x = x if self.training else x.detach()  # training goes back through its steps
            path.append(x)
            still = still if adaptive else still | (calm >= 2)
            if still.all():
                break
        return path

    def move(self, x, grad, step, steps):
        """One step: alpha times the slope, both bounded; noise in training, but after the last; then the mean is 0."""
        c, alpha = self.config, self.alpha
        if self.training and c.alpha_jitter:
            alpha = alpha * (1 + c.alpha_jitter * (torch.rand(1, device=x.device) - 0.5))
        delta = alpha * grad.clamp(-c.grad_clamp, c.grad_clamp)
        if c.think_max_move:
            delta = delta.clamp(-c.think_max_move, c.think_max_move)
        x = x - delta
        if self.training and c.langevin_noise and step + 1 < steps:
            x = x + c.langevin_noise * (1 - step / steps) * torch.randn_like(x)
        return x - x.mean(-1, keepdim=True)

    def energies(self, idx):
        """The energy of every next token after each position, (B, T) -> (B, T, V)."""
        return self.read(idx).e

    def system1(self, idx):
        """Logits without thinking, (B, T) -> (B, T, V)."""
        return -self.energies(idx)

    def system2(self, idx, steps=None, together="text"):
        """Logits after thinking, (B, T) -> (B, T, V); as many steps as in training unless you say how many."""
        return self.descend(self.read(idx), steps, together)[-1]

    def loss(self, idx, targets, steps=None):
        """What training descends, without contrastive terms: the cross-entropy of System 2, and of System 1 a share."""
        path, w = self.descend(self.read(idx), steps, "batch"), self.config.aux_ce_weight
        loss = cross_entropy(path[-1], targets)
        return (1 - w) * loss + w * cross_entropy(path[0], targets) if w else loss

    def next_logits(self, idx, steps=None):
        """Logits of what follows a text, as `sample` thinks of it, (B, T) -> (B, V)."""
        alone = self.config.refine_reduction == "sum" and not self.config.use_soft_tokens
        return self.system2(idx[:, -self.config.block_size :], steps, "position" if alone else "text")[:, -1]

    @torch.no_grad()
    def generate(self, prompt, max_new_tokens, steps=None, topk=50, temperature=1.0, top_p=None, sample=None):
        """Continues a text, or tokens (B, T), as `sample` does; the same seed draws the same text on a CPU.

        steps=0 is System 1. sample=False takes the likeliest token; None draws when thinking, and does not otherwise.
        """
        c = self.config
        steps = c.refine_steps if steps is None else steps
        if c.energy == "ebt" and steps == 0:
            raise ValueError("energy=ebt predicts nothing without thinking: give 1 step or more.")
        is_text = isinstance(prompt, str)
        idx = torch.tensor([self.encode(prompt or "\n")], device=self.alpha.device) if is_text else prompt
        start = idx.size(1)
        for _ in range(max_new_tokens):
            logits = self.next_logits(idx, steps)
            draw = steps > 0 if sample is None else sample
            idx = torch.cat([idx, choose(logits, topk, temperature, top_p) if draw else logits.argmax(-1, True)], 1)
        return prompt + self.decode(idx[0, start:]) if is_text else idx

    def encode(self, text):
        """The ids of the characters of a text."""
        if self.vocab is None:
            raise ValueError(NO_VOCABULARY)
        if unknown := "".join(sorted(set(text) - set(self.vocab))):
            raise ValueError(f"The model does not know these characters: {unknown!r}.")
        return [self.vocab.index(c) for c in text]

    def decode(self, ids):
        """The text of these ids."""
        return "".join(self.vocab[i] for i in ids)


class Mixture(EBM):
    """energy=mixture: an expected energy whose energies see the prediction, e' = e + tanh(s) f([h; p W])."""

    def __init__(self, c):
        super().__init__(c)
        self.thinking = nn.Module()
        self.thinking.c_fc = nn.Linear(2 * c.n_embd, c.n_embd)
        self.thinking.c_proj = nn.Linear(c.n_embd, c.vocab_size)
        self.thinking.scale = nn.Parameter(torch.zeros(()))

    def energies_given(self, p, text):
        p = p.detach() if self.config.mixture_stopgrad else p
        seen = torch.cat([text.h, p @ self.energy_head.weight], -1)  # (B, T, 2 C)
        correction = self.thinking.c_proj(F.gelu(self.thinking.c_fc(seen)))
        return text.e + correction * self.thinking.scale.tanh()


class Reread(EBM):
    """energy=reread: F(p) = <p, e> - H(p) + sum relu(d - gamma U(p W))^2 / (2 gamma), a memory that reads again.

    The drive d says how much the text calls for each pattern of U: its last characters do, and the hidden state.
    """

    GAMMA = 0.5

    def __init__(self, c):
        super().__init__(c)
        M = 4 * c.n_embd
        self.thinking = nn.Module()
        self.thinking.wte = nn.Embedding(c.vocab_size, c.n_embd)
        self.thinking.c_fc = nn.Linear(c.n_embd, M, bias=False)
        self.thinking.c_h = nn.Linear(c.n_embd, M)
        self.thinking.wce = nn.Embedding(c.reread_chars * c.vocab_size, M)

    def read(self, idx):
        text = super().read(idx)
        c, T = self.config, idx.size(1)
        text.drive = self.thinking.c_h(text.h)  # (B, T, M)
        for place in range(min(c.reread_chars, T)):  # the character so many before each position
            said = self.thinking.wce(idx[:, : T - place] + place * c.vocab_size) * math.sqrt(c.n_embd)
            text.drive = text.drive + F.pad(said, (0, 0, place, 0))
        return text

    def slope(self, x, text):
        """The gradient by p, not by x (mirror descent), less its mean along the simplex: closed form."""
        patterns = self.thinking.wte.weight * math.sqrt(self.config.n_embd) @ self.thinking.c_fc.weight.T  # (V, M)
        log_p = x.log_softmax(-1)
        p = log_p.exp()
        missing = (text.drive - self.GAMMA * (p @ patterns)).relu()  # (B, T, M)
        own = text.e + log_p
        energy = (p * own).sum(-1, keepdim=True) + missing.square().sum(-1, keepdim=True) / (2 * self.GAMMA)
        grad = own - missing @ patterns.T
        return energy, grad - (p * grad).sum(-1, keepdim=True)


class Ebt(EBM):
    """energy=ebt: a scalar from the transformer, which reads the prediction in its place after the text."""

    def __init__(self, c):
        super().__init__(c)
        self.thinking = nn.Module()
        self.thinking.wte = nn.Embedding(c.vocab_size, c.n_embd)
        self.thinking.head = nn.Linear(c.n_embd, 1, bias=False)

    def read(self, idx):
        """There is no System 1: thinking starts from no prediction at all, and in training from noise."""
        text = super().read(idx)
        text.e = torch.randn_like(text.e) if self.training else torch.zeros_like(text.e)
        return text

    def energy(self, x, text):
        candidates = x.softmax(-1) @ (self.thinking.wte.weight * math.sqrt(self.config.n_embd))  # (B, T, C)
        return self.thinking.head(self.transformer(candidates, text.kv)[0])


FAMILIES = dict(linear=EBM, mixture=Mixture, reread=Reread, ebt=Ebt)


def cross_entropy(logits, targets):
    """Mean negative log-likelihood in nats; a target of -1 does not count."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


def choose(logits, topk=None, temperature=1.0, top_p=None):
    """Draws from logits (B, V) -> tokens (B, 1): among the k best, then among the best that reach probability p."""
    logits = logits / temperature
    if topk is not None:
        kth = logits.topk(min(topk, logits.size(-1))).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -torch.inf)
    probs = logits.softmax(-1)
    if top_p is not None:
        best, order = probs.sort(-1, descending=True)
        best = best.masked_fill(best.cumsum(-1) - best >= top_p, 0.0)  # what all better ones held
        probs = torch.zeros_like(probs).scatter(-1, order, best)
    return torch.multinomial(probs, 1)


def load(path, device="cpu"):
    """The model of a checkpoint that nanoebm or the original wrote, ready to predict; nothing in the file is run."""
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is no file of torch.save, or it is cut short.")
        damaged = zipfile.ZipFile(file).testzip()
    if damaged:
        raise ValueError(f"{path} is damaged: the checksum of its entry {damaged} is wrong.")
    try:
        file = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many words for it
        raise ValueError(f"{path} is not a checkpoint that PyTorch reads without running code from it.") from error
    for key in ("model", "config"):
        if not isinstance(file, dict) or not isinstance(file.get(key), dict):
            raise ValueError(f'{path} is not a checkpoint of nanoebm: it has no "{key}".')
    ours = file.get("nanoebm", {})
    config = SimpleNamespace(**ORIGINAL | (ours or file)["config"]["model"])
    if config.energy not in FAMILIES:
        raise ValueError(f"{path} has model.energy={config.energy}; this module knows {', '.join(FAMILIES)}.")
    # What torch.compile and DataParallel put before every name.
    weights = {re.sub(r"^(_orig_mod\.|module\.)+", "", name): tensor for name, tensor in file["model"].items()}
    check_size(path, config, weights)
    model = FAMILIES[config.energy](config)
    model.vocab = ours.get("vocab")
    check(path, weights, model.state_dict())
    model.load_state_dict(weights)
    return model.eval().to(device)


def check_size(path, config, weights):
    """The configuration is that of these weights: a wrong one could ask for a model of any size."""
    shapes = {name.removeprefix("transformer.transformer."): list(tensor.shape) for name, tensor in weights.items()}
    layers = len({name.split(".")[1] for name in shapes if name.startswith("h.")})
    if config.n_layer != layers:
        raise ValueError(f"{path} says n_layer={config.n_layer}, and has the weights of {layers} layers.")
    for name, rows in ("wte.weight", config.vocab_size), ("wpe.weight", config.block_size):
        if shapes.get(name) != [rows, config.n_embd]:
            wanted = [rows, config.n_embd]
            raise ValueError(f"{path}: transformer.transformer.{name} should have the shape {wanted}: {shapes.get(name)}.")
    if config.n_head < 1 or config.n_embd % config.n_head:
        raise ValueError(f"{path} says n_head={config.n_head}, which does not divide n_embd={config.n_embd}.")


def check(path, weights, expected):
    """Every tensor is there, fits and belongs."""
    for name in [*expected, *weights]:
        if name not in weights:
            raise ValueError(f"{path} lacks the tensor {name}.")
        if name not in expected:
            raise ValueError(f"{path} has a tensor {name}, which this model has no place for.")
        shape, wanted = list(weights[name].shape), list(expected[name].shape)
        if shape != wanted:
            raise ValueError(f"{path}: the tensor {name} has the shape {shape}, and the model needs {wanted}.")
        if not weights[name].isfinite().all():
            raise ValueError(f"{path}: the tensor {name} holds NaN or infinity.")
    if not weights["transformer.lm_head.weight"].equal(weights["transformer.transformer.wte.weight"]):
        raise ValueError(f"{path}: transformer.lm_head.weight must be the same as transformer.transformer.wte.weight.")
