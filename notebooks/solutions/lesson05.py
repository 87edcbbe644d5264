"""Solutions of lesson 5."""


def phase_of(epoch: int, period: int) -> int:
    return min(epoch // period, 3)


def increasing_weights(blocks: int) -> list[float]:
    doubling = [2**block for block in range(blocks)]
    return [weight / sum(doubling) for weight in doubling]


def smooth_weights(epoch, epochs, first, last):
    done = epoch / (epochs - 1)
    return [(1 - done) * a + done * b for a, b in zip(first, last, strict=True)]
