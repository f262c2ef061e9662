"""The losses of word vectors one pair at a time, in float64 NumPy."""

import numpy as np


def softplus(x: float) -> float:
    return float(np.logaddexp(0.0, x))


def windows(batch):
    """Every row, centre place, and the places of its context."""
    width, time = batch["sentence"].shape[1], batch["reach"].shape[1]
    side = (width - time) // 2
    for row in range(len(batch["sentence"])):
        sentence = batch["sentence"][row]
        for t in range(time):
            centre, reach = t + side, batch["reach"][row, t]
            near = [j for j in range(centre - reach, centre + reach + 1) if j != centre and 0 <= j < width]
            yield row, centre, [j for j in near if sentence[j] == sentence[centre] >= 0]


def told_from_noise(x, target, negatives, k: float) -> float:
    """One pair and k negatives, the mean over those drawn."""
    return softplus(-x @ target) + k * float(np.mean([softplus(x @ negative) for negative in negatives]))


def skipgram(params, batch, k: float) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, centre, near in windows(batch):
        words, noise = batch["words"][row], params["outputs"][batch["negatives"][row]]
        for j in near:
            total += told_from_noise(params["inputs"][words[centre]], params["outputs"][words[j]], noise, k)
            count += 1
    return total, count


def skipgram_softmax(params, batch) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, centre, near in windows(batch):
        words = batch["words"][row]
        for j in near:
            scores = params["outputs"][1:] @ params["inputs"][words[centre]]
            total += float(np.log(np.exp(scores).sum()) - scores[words[j] - 1])
            count += 1
    return total, count


def cbow(params, batch, k: float) -> tuple[float, int]:
    total, count = 0.0, 0
    for row, centre, near in windows(batch):
        words, noise = batch["words"][row], params["outputs"][batch["negatives"][row]]
        if near:
            mean = np.mean([params["inputs"][words[j]] for j in near], axis=0)
            total += told_from_noise(mean, params["outputs"][words[centre]], noise, k)
            count += 1
    return total, count


def glove(params, batch, x_max: float, alpha: float) -> tuple[float, int]:
    total, count = 0.0, 0
    for i, j, x in zip(batch["row"], batch["column"], batch["count"], strict=True):
        if x > 0:
            apart = params["inputs"][i] @ params["outputs"][j] + params["input_bias"][i] + params["output_bias"][j]
            total += min(1.0, x / x_max) ** alpha * (apart - np.log(x)) ** 2
            count += 1
    return float(total), count
