import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from pyg_darec.autograd import once_differentiable
from pyg_darec.checks import check_constant, check_positive, check_weight
from pyg_darec.nn.functional.blocks import blocks
from pyg_darec.nn.functional.normalize import normalize
from pyg_darec.nn.functional.uniformity import uniformity

Similarity = Literal['dot', 'cosine']
_Batch = tuple[Tensor, Tensor, Tensor]


def bpr_loss(user: Tensor, item: Tensor, batch: _Batch) -> Tensor:
    r"""The Bayesian personalised ranking loss of the `"BPR: Bayesian
    Personalized Ranking from Implicit Feedback"
    <https://arxiv.org/abs/1205.2618>`_ paper,

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, p, n)} \textrm{softplus}
        (\langle \mathbf{e}_u, \mathbf{e}_n \rangle -
        \langle \mathbf{e}_u, \mathbf{e}_p \rangle),

    zero for an empty batch.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        batch (tuple): Indices of users, positive and negative items.

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
        - **batch:** three times :math:`(B)`

    Raises:
        ValueError: If widths differ or indices are no vectors of one length.
    """
    _check(user, item, batch)
    u, pos, neg = batch
    # On a CPU, 'user[u]' takes many times as long.
    anchor = user.index_select(0, u)
    gap = item.index_select(0, neg) - item.index_select(0, pos)
    margin = (anchor * gap).sum(dim=-1)
    return softplus(margin).sum() / max(u.numel(), 1)


def bce_loss(user: Tensor, item: Tensor, batch: _Batch) -> Tensor:
    r"""The binary cross-entropy of the `"Neural Collaborative Filtering"
    <https://arxiv.org/abs/1708.05031>`_ paper with inner products as logits,
    averaged over positive and negative pairs,

    .. math::
        \mathcal{L} = \frac{1}{2B} \sum_{(u, p, n)} \textrm{softplus}
        (-\langle \mathbf{e}_u, \mathbf{e}_p \rangle) + \textrm{softplus}
        (\langle \mathbf{e}_u, \mathbf{e}_n \rangle),

    zero for an empty batch.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        batch (tuple): Indices of users, positive and negative items.

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
        - **batch:** three times :math:`(B)`

    Raises:
        ValueError: If widths differ or indices are no vectors of one length.
    """
    _check(user, item, batch)
    u, pos, neg = batch
    anchor = user.index_select(0, u)
    right = softplus(-(anchor * item.index_select(0, pos)).sum(dim=-1))
    wrong = softplus((anchor * item.index_select(0, neg)).sum(dim=-1))
    return (right + wrong).sum() / max(2 * u.numel(), 1)


def softmax_loss(
    user: Tensor,
    item: Tensor,
    batch: _Batch,
    candidate: Tensor,
    temperature: float = 1.0,
    similarity: Similarity = 'dot',
    log_q: Tensor | None = None,
) -> Tensor:
    r"""The sampled softmax of the `"Adaptive Importance Sampling to
    Accelerate Training of a Neural Probabilistic Language Model"
    <https://doi.org/10.1109/TNN.2007.912312>`_ paper: every positive
    item competes with all candidates :math:`\mathcal{C}`,

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, p)} -\log \frac{\exp(z_{up})}
        {\exp(z_{up}) + \sum_{c \in \mathcal{C}, c \neq p} \exp(z_{uc})},
        \quad z_{ui} = \frac{s(\mathbf{e}_u, \mathbf{e}_i)}{\tau} - \log q_i,

    where :math:`q_i` corrects for how often an item is a candidate, as in
    the `"Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
    Recommendations" <https://doi.org/10.1145/3298689.3346996>`_ paper. An
    item that was drawn several times counts as often, but the positive
    counts once, whether it was drawn or not.

    Zero for an empty batch. Finite for similarities of any size, and without
    a :math:`(B, C)` matrix that is kept. Differentiable once.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        batch (tuple): Indices of users, positive and negative items; the
            last are not used.
        candidate (torch.Tensor): Indices of the items that all positives
            compete with.
        temperature (float, optional): The temperature :math:`\tau`.
            (default: :obj:`1.0`)
        similarity (str, optional): The similarity :math:`s`, :obj:`'dot'`
            for the inner product or :obj:`'cosine'`. (default: :obj:`'dot'`)
        log_q (torch.Tensor, optional): The logarithm of :math:`q_i` for each
            item, up to a constant. (default: :obj:`None`)

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
        - **batch:** three times :math:`(B)`
        - **candidate:** :math:`(C)`
        - **log_q:** :math:`(I)`
        - **output:** :math:`()`

    Raises:
        ValueError: If :obj:`temperature` is not positive,
            :obj:`similarity` is unknown, embeddings differ in width, users
            and positive items in number, or :obj:`log_q` requires a gradient.
    """
    check_positive(temperature=temperature)
    check_constant(log_q=log_q)
    if similarity not in ('dot', 'cosine'):
        raise ValueError(
            f"'similarity' needs to be 'dot' or 'cosine' (got '{similarity}')"
        )
    _check(user, item, batch[:2])
    u, pos, _ = batch
    if u.numel() == 0 or candidate.numel() == 0:
        return user[u[:0]].sum() + item[pos[:0]].sum()
    dtype = torch.promote_types(user.dtype, torch.float32)
    index, count = candidate.unique(return_counts=True)
    a, p, c = (
        x.index_select(0, rows).to(dtype)
        for x, rows in ((user, u), (item, pos), (item, index))
    )
    if similarity == 'cosine':
        a, p, c = normalize(a), normalize(p), normalize(c)
    a = a / temperature
    score, bias = (a * p).sum(dim=-1), count.to(dtype).log()
    if log_q is not None:
        score = score - log_q[pos].to(dtype)
        bias = bias - log_q[index].to(dtype)
    # Where the positive is among the candidates, or would be.
    own = torch.searchsorted(index, pos).clamp_(max=index.numel() - 1)
    is_own = index[own] == pos
    with torch.autocast(a.device.type, enabled=False):
        out: Tensor = _SoftmaxLoss.apply(a, c, bias, score, own, is_own)
    return out / u.numel()


class _SoftmaxLoss(torch.autograd.Function):
    """``sum_i log(1 + sum_j exp(<a_i, c_j> + b_j - s_i))`` without the pairs
    ``(i, own_i)`` where ``is_own_i``. As in InfoNCE, the gradient is
    accumulated in the forward pass, block by block.
    """

    @staticmethod
    def forward(
        ctx: Any,
        anchor: Tensor,
        candidate: Tensor,
        bias: Tensor,
        score: Tensor,
        own: Tensor,
        is_own: Tensor,
    ) -> Tensor:
        total = anchor.new_zeros(())
        grad_a, grad_s = torch.empty_like(anchor), torch.empty_like(score)
        grad_c = torch.zeros_like(candidate)
        # One column more adds the bias in the product itself, and one of
        # ones gives the row sums.
        left = pad(anchor, (0, 1), value=1.0)
        right = torch.cat([candidate, bias.unsqueeze(1)], dim=1).t()
        right = right.contiguous()
        extended = pad(candidate, (0, 1), value=1.0)
        own, is_own = own.unsqueeze(1), is_own.unsqueeze(1)
        buffer = anchor.new_empty(0)
        for part in blocks(anchor, candidate):
            z = torch.mm(left[part], right, out=buffer.resize_(0))
            kept = z.gather(1, own[part]).masked_fill_(is_own[part], -math.inf)
            z.scatter_(1, own[part], kept)
            peak = torch.maximum(z.amax(dim=1), score[part])
            moment = z.sub_(peak.unsqueeze(1)).exp_() @ extended
            gap = score[part] - peak
            norm = moment[:, -1] + gap.exp()
            total += (norm.log() - gap).sum()
            grad_s[part] = -moment[:, -1] / norm
            scale = norm.reciprocal().unsqueeze(1)
            torch.mul(moment[:, :-1], scale, out=grad_a[part])
            grad_c.addmm_(z.t(), anchor[part] * scale)
        ctx.save_for_backward(total, grad_a, grad_c, grad_s)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, grad_a, grad_c, grad_s = ctx.saved_tensors
        return grad * grad_a, grad * grad_c, None, grad * grad_s, None, None


def direct_au_loss(
    user: Tensor,
    item: Tensor,
    batch: _Batch,
    gamma: float = 1.0,
    t: float = 2.0,
) -> Tensor:
    r"""The loss of the `"Towards Representation Alignment and Uniformity in
    Collaborative Filtering" <https://arxiv.org/abs/2206.12811>`_ paper: the
    two sides of an interaction are drawn together, and users and items are
    spread out by :func:`uniformity`,

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, p)} \left\Vert
        \frac{\mathbf{e}_u}{\Vert \mathbf{e}_u \Vert} -
        \frac{\mathbf{e}_p}{\Vert \mathbf{e}_p \Vert} \right\Vert^2 +
        \frac{\gamma}{2} \left(
        \mathcal{L}_{uni}(\mathbf{e}_u) + \mathcal{L}_{uni}(\mathbf{e}_p)
        \right).

    The uniformity is that of the rows of the batch: a user or item that
    occurs several times is as many rows, whose pairs have distance zero and
    no gradient, and only pairs of a row with itself are left out. Zero for
    an empty batch. Differentiable once.

    Args:
        user (torch.Tensor): The user embeddings.
        item (torch.Tensor): The item embeddings.
        batch (tuple): Indices of users, positive and negative items; the
            last are not used.
        gamma (float, optional): The weight :math:`\gamma` of the uniformity;
            0 leaves it out. (default: :obj:`1.0`)
        t (float, optional): The sharpness of the uniformity.
            (default: :obj:`2.0`)

    Shapes:
        - **user:** :math:`(U, d)`
        - **item:** :math:`(I, d)`
        - **batch:** three times :math:`(B)`
        - **output:** :math:`()`

    Raises:
        ValueError: If :obj:`gamma` is negative, :obj:`t` is not positive,
            embeddings differ in width, or users and positive items in number.
    """
    check_weight(gamma=gamma)
    check_positive(t=t)
    _check(user, item, batch[:2])
    dtype = torch.promote_types(user.dtype, torch.float32)
    u, p = (
        normalize(x.index_select(0, index).to(dtype))
        for x, index in zip((user, item), batch[:2], strict=True)
    )
    loss = (u - p).square().sum() / max(u.size(0), 1)
    if gamma == 0:
        return loss
    return loss + gamma / 2 * (uniformity(u, t) + uniformity(p, t))


def l2_penalty(*params: Tensor) -> Tensor:
    r"""The squared :math:`\ell_2` norm of all entries of
    :obj:`params`.
    """
    # The gradient of 'param.square()' takes twice as long.
    first, *others = ((param * param).sum() for param in params)
    return sum(others, start=first)


def _check(user: Tensor, item: Tensor, batch: tuple[Tensor, ...]) -> None:
    """PyTorch would repeat a single column or index, and look up no matrix."""
    if user.size(-1) != item.size(-1):
        raise ValueError(
            "'user' and 'item' need one width (got shapes "
            f'{tuple(user.shape)} and {tuple(item.shape)})'
        )
    shapes = [tuple(index.shape) for index in batch]
    if shapes != [(batch[0].numel(),)] * len(shapes):
        raise ValueError(
            f"'batch' needs indices in vectors of one shape (got {shapes})"
        )
