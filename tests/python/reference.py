"""The original nanoEBM model, restated in PyTorch: the yardstick for the Rust program.

Defaults are the original's behaviour, quirks included; `Switches` turns later options on.
Letters: B batch, T time, C n_embd, V vocabulary. Sign: logit = -energy.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


@dataclass(frozen=True)
class ModelConfig:
    """Exactly the original's model keys: as with its own class, any other key is a TypeError."""

    vocab_size: int = 256
    block_size: int = 256
    n_layer: int = 6
    n_head: int = 6
    n_embd: int = 384
    dropout: float = 0.1
    bias: bool = True
    refine_steps: int = 4
    alpha_value: float = 0.02
    langevin_noise: float = 0.005
    energy_convergence_threshold: float = 1e-4
    warmup_steps_no_refine: int = 50
    use_soft_tokens: bool = False
    use_contrastive: bool = False
    contrastive_type: str = "cd"
    contrastive_k: int = 1
    contrastive_weight: float = 0.1
    langevin_step_size: float = 0.01
    langevin_noise_scale: float = 0.005
    n_persistent: int = 100
    n_chains: int = 20
    restart_prob: float = 0.01
    buffer_init_std: float = 1.0


@dataclass(frozen=True)
class Switches:
    """What the original does not have, or does another way; the defaults are its behaviour."""

    refine_reduction: str = "mean"  # J over B*T: "mean" or "sum"
    softmax_temperature: float = 1.0  # tau in p = softmax(x / tau)
    entropy_weight: float = 0.0  # lambda in J = sum_v p e - lambda H(p)
    think_max_move: Optional[float] = None  # bound on alpha * gradient
    mixture_stopgrad: bool = False  # soft embeddings are constants
    alpha_learnable: bool = False
    alpha_jitter: float = 0.1
    grad_clamp: float = 5.0
    aux_ce_weight: float = 0.0
    info_nce_weight: float = 0.0
    info_nce_temperature: float = 1.0
    contrastive_positive_grad: bool = False
    contrastive_energy: str = "same_token"  # or "next_token"
    share_hidden: bool = False


# ---------------------------------------------------------------- transformer (minGPT's, pre-norm)


class LayerNorm(nn.Module):
    """Layer norm whose bias is optional."""

    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, eps=1e-5)


class Attention(nn.Module):
    """Causal self-attention, queries, keys and values from one projection."""

    def __init__(self, cfg):
        super().__init__()
        self.heads, self.dropout = cfg.n_head, cfg.dropout
        self.c_attn = nn.Linear(cfg.n_embd, 3 * cfg.n_embd, bias=cfg.bias)
        self.c_proj = nn.Linear(cfg.n_embd, cfg.n_embd, bias=cfg.bias)

    def forward(self, x):
        B, T, C = x.shape
        qkv = self.c_attn(x).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, C / heads)
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        y = self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return F.dropout(y, self.dropout, self.training)


class Mlp(nn.Module):
    """Four times wider, exact GELU, back."""

    def __init__(self, cfg):
        super().__init__()
        self.dropout = cfg.dropout
        self.c_fc = nn.Linear(cfg.n_embd, 4 * cfg.n_embd, bias=cfg.bias)
        self.c_proj = nn.Linear(4 * cfg.n_embd, cfg.n_embd, bias=cfg.bias)

    def forward(self, x):
        return F.dropout(self.c_proj(F.gelu(self.c_fc(x))), self.dropout, self.training)


class Block(nn.Module):
    """One residual layer; the order of the fields is the checkpoint's order of names."""

    def __init__(self, cfg):
        super().__init__()
        self.ln_1 = LayerNorm(cfg.n_embd, cfg.bias)
        self.attn = Attention(cfg)
        self.ln_2 = LayerNorm(cfg.n_embd, cfg.bias)
        self.mlp = Mlp(cfg)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Holds the layers under the checkpoint's names; EBM.get_hidden_states runs them."""

    def __init__(self, cfg):
        super().__init__()
        self.transformer = nn.ModuleDict()
        self.transformer["wte"] = nn.Embedding(cfg.vocab_size, cfg.n_embd)
        self.transformer["wpe"] = nn.Embedding(cfg.block_size, cfg.n_embd)
        self.transformer["h"] = nn.ModuleList(Block(cfg) for _ in range(cfg.n_layer))
        self.transformer["ln_f"] = LayerNorm(cfg.n_embd, cfg.bias)
        self.lm_head = nn.Linear(cfg.n_embd, cfg.vocab_size, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight  # tied, and unused by the EBM


# ---------------------------------------------------------------- the energy-based model


def expected_energy(x, energies):
    """Per sequence: sum over T of the mean energy under softmax(x); (B, T, V) twice -> (B,)."""
    return (F.softmax(x, dim=-1) * energies).sum(dim=(-1, -2))


def cross_entropy(logits, targets):
    """Mean negative log-likelihood in nats; a target of -1 is left out."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


class EBM(nn.Module):
    """Transformer, energy head and the descent on the energy."""

    def __init__(self, config, switches=Switches()):
        super().__init__()
        self.config, self.switches = config, switches
        self.transformer = Transformer(config)
        self.energy_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        alpha = torch.tensor(float(config.alpha_value))
        if switches.alpha_learnable:
            self.alpha = nn.Parameter(alpha)
        else:
            self.register_buffer("alpha", alpha)
        self._initialise()

    def _initialise(self):
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.1 if module is self.energy_head else 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def get_hidden_states(self, tokens):
        """(B, T) token ids, or (B, T, C) mixtures of token embeddings -> (B, T, C)."""
        parts = self.transformer.transformer
        x = parts["wte"](tokens) if tokens.dim() == 2 else tokens
        x = x + parts["wpe"](torch.arange(x.size(1), device=x.device))
        x = F.dropout(x, self.config.dropout, self.training)
        # Training through soft tokens needs a second derivative, which fused attention lacks.
        plain = self.training and self.config.use_soft_tokens
        with sdpa_kernel(SDPBackend.MATH) if plain else nullcontext():
            for block in parts["h"]:
                x = block(x)
        return parts["ln_f"](x)

    def energies(self, tokens):
        """The energy of every next token at every position, (B, T, V)."""
        return self.energy_head(self.get_hidden_states(tokens))

    def system1(self, idx):
        """Logits without thinking."""
        return -self.energies(idx)

    def system2_refine(self, idx, steps, energies=None):
        """Logits after up to `steps` descents on J, and all on the way: (last, [System 1, ...]).

        In training the result can be differentiated through the descent, else it is detached.
        """
        with torch.enable_grad():
            energies = self.energies(idx) if energies is None else energies
            x = -energies if self.training else -energies.detach()
            trajectory, watch = [x], EarlyStop(self.config.energy_convergence_threshold)
            for step in range(steps):
                x = x if x.requires_grad else x.requires_grad_()
                objective = self.objective(x, energies)
                (grad,) = torch.autograd.grad(objective, x, create_graph=self.training)
                x = self.move(x, grad, step, steps)
                x = x if self.training else x.detach()
                trajectory.append(x)
                if watch.converged(objective.item()):
                    break
        return (x if self.training else x.detach()), [t.detach() for t in trajectory]

    def objective(self, x, energies):
        """J(x): expected energy less lambda times the entropy, over all positions of the batch."""
        sw = self.switches
        p = F.softmax(x / sw.softmax_temperature, dim=-1)
        if self.config.use_soft_tokens:
            mixture = torch.einsum("btv,vc->btc", p, self.transformer.transformer["wte"].weight)
            mixture = mixture.detach() if sw.mixture_stopgrad else mixture
            energies = self.energies(mixture)
        per_position = (p * energies).sum(-1)
        if sw.entropy_weight:
            log_p = F.log_softmax(x / sw.softmax_temperature, dim=-1)
            per_position = per_position + sw.entropy_weight * (p * log_p).sum(-1)
        return per_position.sum() if sw.refine_reduction == "sum" else per_position.mean()

    def move(self, x, grad, step, steps):
        """One update: step, bound, noise (training only), centre."""
        sw, alpha = self.switches, self.alpha
        if self.training and sw.alpha_jitter:
            alpha = alpha * (1.0 + sw.alpha_jitter * (torch.rand(1, device=x.device) - 0.5))
        delta = alpha * grad.clamp(-sw.grad_clamp, sw.grad_clamp)
        if sw.think_max_move is not None:
            delta = delta.clamp(-sw.think_max_move, sw.think_max_move)
        x = x - delta
        if self.training and self.config.langevin_noise and step < steps - 1:
            scale = self.config.langevin_noise * (1.0 - step / steps)
            x = x + scale * torch.randn_like(x)
        return x - x.mean(dim=-1, keepdim=True)

    def forward(self, idx, targets, use_refine=True, refine_steps=2, contrastive=None, draw=None):
        """(loss, logits, metrics). `contrastive` adds its loss; `draw` fixes its random choices."""
        energies = self.energies(idx)
        logits_s1 = -energies
        nll_s1 = cross_entropy(logits_s1, targets)
        logits, loss, metrics = logits_s1, nll_s1, {}
        if use_refine:
            shared = energies if self.switches.share_hidden else None
            logits, _ = self.system2_refine(idx, refine_steps, shared)
            nll_s2 = cross_entropy(logits, targets)
            w = self.switches.aux_ce_weight
            loss = (1 - w) * nll_s2 + w * nll_s1 if w else nll_s2
            metrics = system2_metrics(energies, logits_s1, logits, nll_s1, nll_s2)
        else:
            metrics = system1_metrics(energies, logits_s1, nll_s1)
        if self.switches.info_nce_weight:
            nce, accuracy = self.info_nce(energies, targets)
            loss = loss + self.switches.info_nce_weight * nce
            metrics.update(info_nce_loss=nce.item(), info_nce_acc=accuracy.item())
        if contrastive is not None:
            cd = contrastive(targets, energies, draw)
            nll, loss = loss, loss + self.config.contrastive_weight * cd
            metrics.update(nll_loss=nll.item(), cd_loss=cd.item(), total_loss=loss.item())
        return loss, logits, metrics

    def info_nce(self, energies, targets):
        """Each context against every target sequence of the batch: E_ij = mean_t E(x_i, y_j[t])."""
        B, T, V = energies.shape
        chosen = targets.unsqueeze(0).expand(B, B, T).unsqueeze(-1)
        pairs = energies.unsqueeze(1).expand(B, B, T, V).gather(-1, chosen).squeeze(-1).mean(-1)
        scores = -pairs / self.switches.info_nce_temperature
        own = torch.arange(B, device=scores.device)
        return F.cross_entropy(scores, own), (scores.argmax(1) == own).float().mean()

    @torch.no_grad()
    def compute_energy(self, idx):
        """Per sequence, the energies of the tokens just read: sum over t of E(h_t, idx_t)."""
        return self.energies(idx).gather(-1, idx.unsqueeze(-1)).sum(dim=(-1, -2))

    @staticmethod
    def compute_energy_from_logits(logits):
        """The original's stand-in for an energy of logits: minus their entropy, per sequence."""
        p = F.softmax(logits, dim=-1)
        return (p * (p + 1e-10).log()).sum(dim=(-1, -2))

    @torch.no_grad()
    def generate(self, idx, n, temperature=1.0, top_k=None, use_thinking=True, think_steps=4):
        """Append `n` tokens drawn from the last position's distribution; top_k=1 is greedy."""
        for _ in range(n):
            context = idx[:, -self.config.block_size :]
            if use_thinking:
                logits, _ = self.system2_refine(context, think_steps)
            else:
                logits = self.system1(context)
            logits = logits[:, -1] / temperature
            if top_k is not None:
                least = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]
                logits = logits.masked_fill(logits < least, float("-inf"))
            idx = torch.cat((idx, torch.multinomial(F.softmax(logits, -1), 1)), dim=1)
        return idx


class EarlyStop:
    """Two consecutive changes of J below the threshold end the loop."""

    def __init__(self, threshold):
        self.threshold, self.previous, self.calm = threshold, None, 0

    def converged(self, value):
        if self.previous is not None:
            small = abs(self.previous - value) < self.threshold
            self.calm = self.calm + 1 if small else 0
        self.previous = value
        return self.calm >= 2


def mean_energy(logits, energies):
    """Expected energy per position, over the batch."""
    return (F.softmax(logits, dim=-1) * energies).sum(-1).mean()


def system1_metrics(energies, logits, nll):
    energy = mean_energy(logits, energies).item()
    ppl = nll.exp().item()
    return dict(
        EE_s1=energy, EE_s2=energy, delta_EE=0.0, nll_s1=nll.item(), ppl_s1=ppl, perplexity=ppl
    )


def system2_metrics(energies, logits_s1, logits_s2, nll_s1, nll_s2):
    e0, ek = mean_energy(logits_s1, energies), mean_energy(logits_s2, energies)
    ppl = nll_s2.exp().item()
    return dict(
        initial_energy=e0.item(),
        final_energy=ek.item(),
        energy_gap=(e0 - ek).item(),
        nll_s1=nll_s1.item(),
        nll_s2=nll_s2.item(),
        ppl_s1=nll_s1.exp().item(),
        ppl_s2=ppl,
        perplexity=ppl,
        delta_nll=(nll_s1 - nll_s2).item(),
    )


# ---------------------------------------------------------------- contrastive divergence


def langevin(x, energies, k, step_size, noise_scale):
    """k steps of x <- x - eta grad(sum E) + sqrt(2 eta s) xi, the energies held fixed."""
    x, energies = x.detach(), energies.detach()
    for _ in range(k):
        with torch.enable_grad():
            x.requires_grad_()
            (grad,) = torch.autograd.grad(expected_energy(x, energies).sum(), x)
        x = x.detach() - step_size * grad
        if noise_scale:
            x = x + math.sqrt(2 * step_size * noise_scale) * torch.randn_like(x)
    return x


class Draw(NamedTuple):
    """Random choices of one call; what is None is drawn."""

    indices: Optional[torch.Tensor] = None  # pcd: the particles picked
    assign: Optional[torch.Tensor] = None  # fast_pcd: the row whose energies each chain feels
    pick: Optional[torch.Tensor] = None  # fast_pcd: the chains used as negatives


class Contrastive:
    """CD-k, PCD or Fast PCD by configuration; keeps `chains` and the last `negatives`."""

    def __init__(self, model, chains=None):
        self.model, self.chains, self.negatives = model, chains, None

    def __call__(self, targets, energies, draw=None):
        """mean(E positive) / T - mean(E negative) / T; `energies` are those of the loss."""
        sw = self.model.switches
        if sw.contrastive_energy == "same_token":
            # The original's pass over the targets; a second one here keeps its dropout masks apart.
            positive = self.model.compute_energy(targets)
            energies = self.model.energies(targets)
        if sw.contrastive_energy == "next_token" or sw.contrastive_positive_grad:
            positive = energies.gather(-1, targets.unsqueeze(-1)).sum(dim=(-1, -2))
        if not sw.contrastive_positive_grad:
            positive = positive.detach()
        sampler = {"cd": self.cd, "pcd": self.pcd, "fast_pcd": self.fast_pcd}
        self.negatives = sampler[self.model.config.contrastive_type](
            energies.detach(), draw or Draw()
        )
        negative = expected_energy(self.negatives, energies)
        return (positive.mean() - negative.mean()) / targets.size(1)

    def walk(self, x, energies):
        cfg = self.model.config
        return langevin(
            x, energies, cfg.contrastive_k, cfg.langevin_step_size, cfg.langevin_noise_scale
        )

    def start(self, n, energies):
        if self.chains is None:
            std = self.model.config.buffer_init_std
            self.chains = std * torch.randn(n, *energies.shape[1:], device=energies.device)

    def cd(self, energies, _draw):
        return self.walk(-energies, energies)

    def pcd(self, energies, draw):
        n = self.model.config.n_persistent
        self.start(n, energies)
        picked = torch.randint(n, (len(energies),)) if draw.indices is None else draw.indices
        moved = self.walk(self.chains[picked], energies)
        self.chains = self.chains.clone()
        self.chains[picked] = moved
        return moved

    def fast_pcd(self, energies, draw):
        n, B = self.model.config.n_chains, len(energies)
        self.start(n, energies)
        assign = torch.randint(B, (n,)) if draw.assign is None else draw.assign
        self.restart(energies)
        self.chains = self.walk(self.chains, energies[assign])
        return self.chains[torch.randint(n, (B,)) if draw.pick is None else draw.pick]

    def restart(self, energies):
        """Some chains begin again: from System 1's logits, from noise when more than the rows."""
        cfg = self.model.config
        again = torch.rand(cfg.n_chains) < cfg.restart_prob
        count = int(again.sum())
        if count == 0:
            return
        self.chains = self.chains.clone()
        if count <= len(energies):
            self.chains[again] = -energies[torch.randperm(len(energies))[:count]]
        else:
            self.chains[again] = cfg.buffer_init_std * torch.randn_like(self.chains[again])


# ---------------------------------------------------------------- training


def get_lr(step, warmup_iters, lr_decay_iters, learning_rate, min_lr):
    """Linear from 1 % of the peak, then a cosine down to min_lr."""
    if step < warmup_iters:
        first = 0.01 * learning_rate
        return first + (learning_rate - first) * step / warmup_iters
    if step > lr_decay_iters:
        return min_lr
    done = (step - warmup_iters) / (lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1 + math.cos(math.pi * done)) * (learning_rate - min_lr)


def adamw(model, learning_rate, beta1, beta2, weight_decay):
    """The original's optimiser: one group, decay on every parameter."""
    return torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=(beta1, beta2), weight_decay=weight_decay
    )


def vocabulary(text):
    """Character -> id, by sorted code point."""
    return {ch: i for i, ch in enumerate(sorted(set(text)))}


def train_steps(model, optimizer, settings, batch, start, steps):
    """Train as the original does from step `start`; `batch(step)` gives (idx, targets)."""
    contrastive = Contrastive(model) if model.config.use_contrastive else None
    rates = [settings[k] for k in ("warmup_iters", "lr_decay_iters", "learning_rate", "min_lr")]
    losses = []
    model.train()
    for step in range(start, start + steps):
        for group in optimizer.param_groups:
            group["lr"] = (
                get_lr(step, *rates) if settings["decay_lr"] else settings["learning_rate"]
            )
        idx, targets = batch(step)
        thinks = step >= model.config.warmup_steps_no_refine
        loss, _, _ = model(idx, targets, thinks, model.config.refine_steps, contrastive)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["grad_clip"])
        optimizer.step()
        losses.append(loss.item())
    return losses
