"""A GPT-2 as PyTorch's users write it today: pre-norm blocks around ``scaled_dot_product_attention``."""

import math

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Attention and a feed-forward network, each with a residual."""

    def __init__(self, features: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(features), nn.LayerNorm(features)])
        self.qkv, self.output = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.up, self.down = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)

    def forward(self, xs):
        """(B, T, D) to (B, T, D)."""
        rows, time, features = xs.shape
        packed = self.qkv(self.norms[0](xs)).view(rows, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        ys = functional.scaled_dot_product_attention(*packed, is_causal=True)
        xs = xs + self.output(ys.transpose(1, 2).reshape(rows, time, features))
        return xs + self.down(functional.gelu(self.up(self.norms[1](xs)), approximate="tanh"))


class GPT(nn.Module):
    """Ids (B, T) to logits (B, T, V)."""

    def __init__(self, vocabulary: int, context: int, features: int, layers: int, heads: int):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(vocabulary, features), nn.Embedding(context, features)
        self.blocks = nn.Sequential(*(Block(features, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(features)
        for name, weights in self.named_parameters():
            if weights.ndim == 2:
                residual = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weights, std=0.02 / (math.sqrt(2 * layers) if residual else 1))

    def forward(self, ids):
        """(B, T) to (B, T, V)."""
        xs = self.embedding(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        return functional.linear(self.norm(self.blocks(xs)), self.embedding.weight)
