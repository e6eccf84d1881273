"""The original nanoEBM, restated: python/nanoebm.py, and what only the tests need, quirks of training included.

Defaults are the original's behaviour; `switches` turn later options on. Letters and signs are those of nanoebm.py.
"""

import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

import nanoebm
from nanoebm import cross_entropy


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


# What the original does not have, or does another way, as it behaves.
SWITCHES = {k: v for k, v in nanoebm.ORIGINAL.items() if k not in ModelConfig.__dataclass_fields__} | dict(
    info_nce_weight=0.0,
    info_nce_temperature=1.0,
    contrastive_positive_grad=False,
    contrastive_energy="same_token",  # or "next_token"
    share_hidden=False,
)


class EBM(nanoebm.EBM):
    """The model as the original makes, trains and asks it."""

    def __init__(self, config, switches=None):
        super().__init__(SimpleNamespace(**asdict(config), **SWITCHES | (switches or {})))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.1 if module is self.energy_head else 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, idx, targets, use_refine=True, refine_steps=2, contrastive=None, draw=None):
        """(loss, logits, metrics). `contrastive` adds its loss; `draw` fixes its random choices."""
        c, text = self.config, self.read(idx)
        energies = text.e
        logits_s1 = -energies
        nll_s1 = cross_entropy(logits_s1, targets)
        logits, loss = logits_s1, nll_s1
        if use_refine:
            text = text if c.share_hidden else self.read(idx)
            logits = self.descend(text, refine_steps, "batch")[-1]
            nll_s2 = cross_entropy(logits, targets)
            w = c.aux_ce_weight
            loss = (1 - w) * nll_s2 + w * nll_s1 if w else nll_s2
            metrics = system2_metrics(energies, logits_s1, logits, nll_s1, nll_s2)
        else:
            metrics = system1_metrics(energies, logits_s1, nll_s1)
        if c.info_nce_weight:
            nce, accuracy = self.info_nce(energies, targets)
            loss = loss + c.info_nce_weight * nce
            metrics.update(info_nce_loss=nce.item(), info_nce_acc=accuracy.item())
        if contrastive is not None:
            cd = contrastive(targets, energies, draw)
            nll, loss = loss, loss + c.contrastive_weight * cd
            metrics.update(nll_loss=nll.item(), cd_loss=cd.item(), total_loss=loss.item())
        return loss, logits, metrics

    def info_nce(self, energies, targets):
        """Each context against every target sequence of the batch: E_ij = mean_t E(x_i, y_j[t])."""
        B, T, V = energies.shape
        chosen = targets.unsqueeze(0).expand(B, B, T).unsqueeze(-1)
        pairs = energies.unsqueeze(1).expand(B, B, T, V).gather(-1, chosen).squeeze(-1).mean(-1)
        scores = -pairs / self.config.info_nce_temperature
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


def expected_energy(x, energies):
    """Per sequence: sum over T of the mean energy under softmax(x); (B, T, V) twice -> (B,)."""
    return (F.softmax(x, dim=-1) * energies).sum(dim=(-1, -2))


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
        c = self.model.config
        if c.contrastive_energy == "same_token":
            # The original's pass over the targets; a second one here keeps its dropout masks apart.
            positive = self.model.compute_energy(targets)
            energies = self.model.energies(targets)
        if c.contrastive_energy == "next_token" or c.contrastive_positive_grad:
            positive = energies.gather(-1, targets.unsqueeze(-1)).sum(dim=(-1, -2))
        if not c.contrastive_positive_grad:
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
