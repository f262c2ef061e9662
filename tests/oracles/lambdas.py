"""The lambda layer as loops in float64: Bello (2021), equations 1 and 2. One row, every map λ written out."""

import numpy as np


def lambda_layer(query, key, value, embeddings, mask, reset, causal):
    """(T, N, K), (T, K), (T, J), (R or 2R - 1, K), (T,), (T,) to (T, N, J)."""
    ys = np.zeros((*query.shape[:2], value.shape[1]))
    reach = len(embeddings) if causal else (len(embeddings) + 1) // 2
    documents = np.cumsum(reset)
    for n in np.flatnonzero(mask):
        context = [m for m in np.flatnonzero(mask) if documents[m] == documents[n] and (m <= n or not causal)]
        largest = np.max([key[m] for m in context], axis=0)
        total = sum(np.exp(key[m] - largest) for m in context)
        made = np.zeros((key.shape[1], value.shape[1]))
        for m in context:
            made += np.outer(np.exp(key[m] - largest) / total, value[m])
            ahead = context.index(m) - context.index(n)
            if abs(ahead) < reach:
                made += np.outer(embeddings[-ahead if causal else reach - 1 + ahead], value[m])
        for head, q in enumerate(query[n]):
            ys[n, head] = made.T @ q
    return ys
