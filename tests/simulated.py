"""Labels, and predictions that know something of them."""

from __future__ import annotations

import numpy as np


def simulate(task, rows, draw):
    """Labels, and predictions that know something of them."""
    if task == "binary":
        p = draw.random(rows)
        return (draw.random(rows) < p).astype(np.float32), p.astype(np.float32)
    if task == "multiclass":
        p = draw.dirichlet([0.5] * 4, rows)
        y = (p.cumsum(axis=1) > draw.random(rows)[:, None]).argmax(axis=1)
        return y.astype(np.float32), p.astype(np.float32)
    p = draw.normal(size=rows)
    return (p + draw.normal(size=rows)).astype(np.float32), p.astype(np.float32)
