"""The behaviour encoder: a small causal transformer over the events of a history."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from portrait.features.events import EVENT_TYPES
from portrait.features.histories.history_arrays import EVENT_NUMBERS, MAX_ENCODED_SLOTS

# Edges in days, from a minute to two years: ages and gaps are read on this scale.
_AGE_EDGES = (1 / 1440, 1 / 96, 1 / 24, 0.25, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0, 60.0, 120.0, 365.0, 730.0)
_AGE_BUCKETS = len(_AGE_EDGES) + 2  # one more beyond the last edge, one for "unknown"


def bucket_ages(days: Tensor) -> Tensor:
    """Bucket of an age or gap in days: 0 if unknown (negative), else 1 and up."""
    edges = torch.tensor(_AGE_EDGES, dtype=days.dtype, device=days.device)
    bucket = (days.unsqueeze(-1) >= edges).sum(-1) + 1
    return torch.where(days < 0, torch.zeros_like(bucket), bucket)


class CausalAttention(nn.Module):
    """Causal self-attention with a learnt bias for how many events, and how much time, lie between two events.

    The bias by distance and by time follows T5's relative positions (Raffel et al. 2020, section 2.1), and HSTU's
    use of them for time (Zhai et al. 2024, section 3.2).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.distance_bias = nn.Embedding(MAX_ENCODED_SLOTS, heads)
        self.age_bias = nn.Embedding(_AGE_BUCKETS, heads)
        nn.init.zeros_(self.distance_bias.weight)
        nn.init.zeros_(self.age_bias.weight)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, distance: Tensor, gap: Tensor, allowed: Tensor) -> Tensor:
        """One layer of attention.

        Args:
            x: `[n, events, width]`.
            distance: `[events, events]`, number of events from key to query.
            gap: `[n, events, events]`, age bucket of the time from key to query.
            allowed: `[n, events, events]`, whether the query may see the key.
        """
        n, events, width = x.shape
        q, k, v = self.inputs(x).view(n, events, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        bias = self.distance_bias(distance).permute(2, 0, 1).unsqueeze(0) + self.age_bias(gap).permute(0, 3, 1, 2)
        scores = q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5 + bias
        scores = scores.masked_fill(~allowed.unsqueeze(1), -1e4)
        mixed = self.dropout(scores.softmax(-1)) @ v
        output: Tensor = self.output(mixed.transpose(1, 2).reshape(n, events, width))
        return output


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a normalisation and around a residual."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads, dropout)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, distance: Tensor, gap: Tensor, allowed: Tensor) -> Tensor:
        """`[n, events, width]` → the same shape; see `Attention.forward`."""
        x = x + self.dropout(self.attention(self.attention_norm(x), distance, gap, allowed))
        summed: Tensor = x + self.dropout(self.feed(self.feed_norm(x)))
        return summed


class ProfileEncoder(nn.Module):
    """Histories to unit vectors in the space of the item vectors.

    Args:
        dimension: length of event embeddings and profiles, and width of the transformer.
        layers: number of blocks.
        heads: attention heads of a block.
        dropout: share of activations dropped in training.
    """

    def __init__(self, dimension: int, layers: int = 2, heads: int = 2, dropout: float = 0.4) -> None:
        super().__init__()
        self.scale = dimension**0.5
        self.type_embedding = nn.Embedding(len(EVENT_TYPES) + 1, dimension, padding_idx=0)
        self.numbers = nn.Linear(len(EVENT_NUMBERS), dimension)
        self.gap_embedding = nn.Embedding(_AGE_BUCKETS, dimension)
        nn.init.normal_(self.type_embedding.weight, std=0.02)
        nn.init.normal_(self.gap_embedding.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dimension, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dimension)
        self.project = nn.Linear(dimension, dimension)

    def states(
        self,
        event_embedding: Tensor,
        event_type: Tensor,
        event_age: Tensor,
        event_numbers: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """Encode each event together with those before it: `[n, events, dimension]`.

        Only differences of ages are read, so the ages may count back from any one moment of a history.
        """
        events = event_embedding.shape[1]
        place = torch.arange(events, device=mask.device)
        distance = (place.unsqueeze(1) - place.unsqueeze(0)).clamp(0, MAX_ENCODED_SLOTS - 1)
        causal = place.unsqueeze(1) >= place.unsqueeze(0)
        # A padded query sees itself, so that its softmax is over something.
        itself = place.unsqueeze(1) == place.unsqueeze(0)
        allowed = (causal & (mask.unsqueeze(1) > 0)) | itself
        known = (event_age.unsqueeze(2) >= 0) & (event_age.unsqueeze(1) >= 0)
        between = (event_age.unsqueeze(1) - event_age.unsqueeze(2)).clamp(min=0.0)
        gap = bucket_ages(torch.where(known, between, -torch.ones_like(between)))

        x = event_embedding * self.scale + self.type_embedding(event_type) + self.numbers(event_numbers)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, distance, gap, allowed)
        return x

    def head(self, states: Tensor, gap: Tensor) -> Tensor:
        """Profiles after an event.

        Args:
            states: `[…, dimension]`, the state at the latest event.
            gap: `[…]`, days from that event to the moment of the profile, -1 if unknown.
        """
        return functional.normalize(self.project(self.norm(states + self.gap_embedding(bucket_ages(gap)))), dim=-1)

    def forward(
        self,
        event_embedding: Tensor,
        event_type: Tensor,
        event_age: Tensor,
        event_numbers: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """The profile at the moment from which the ages count back.

        Args:
            event_embedding: `[n, events, dimension]`, padded on the left like the rest.
            event_type: `[n, events]`, codes of `EVENT_TYPE_CODES`.
            event_age: `[n, events]`, days, -1 if unknown.
            event_numbers: `[n, events, len(EVENT_NUMBERS)]`.
            mask: `[n, events]`, 1 for an event, 0 for padding.

        Returns:
            `profile [n, dimension]`, unit length.
        """
        states = self.states(event_embedding, event_type, event_age, event_numbers, mask)
        return self.head(states[:, -1], event_age[:, -1])
