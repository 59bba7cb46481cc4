"""The tables of ``speed.py``, from its measurements."""

import statistics
from typing import Any

from convergence import METRIC, seconds_to
from roofline import (
    con_flops,
    darec_flops,
    gen_flops,
    propagation_bytes,
    propagation_flops,
)

Result = dict[str, Any]
# Column, unit in seconds, digits.
COLUMNS = {
    'step': ('step, ms', 1e-3, 1),
    'epoch': ('epoch, s', 1.0, 3),
    'evaluate': ('evaluation, s', 1.0, 3),
    'propagate': ('propagation, ms', 1e-3, 2),
}


def quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, middle, high


def cell(values: list[float], unit: float, digits: int) -> str:
    low, middle, high = (value / unit for value in quartiles(values))
    return f'{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


def seconds(result: Result, label: str, do: str) -> list[float] | None:
    found = result['contenders'].get(label, {}).get(do)
    return None if found is None else found['seconds']


def propagation_fraction(result: Result, label: str, kind: str) -> float | None:
    """The share of the copy bandwidth that a propagation reaches."""
    taken = seconds(result, label, 'propagate')
    if taken is None:
        return None
    split, settings = result['split'], result['settings']
    moved = propagation_bytes(
        split['num_users'],
        split['num_items'],
        split['train'],
        settings['dim'],
        settings['layers'],
    )[kind]
    bandwidth = result['rates']['copy_bytes_per_second']
    return float(moved / bandwidth / statistics.median(taken))


def alignment_flops(result: Result, label: str) -> int | None:
    """The matrix products of a step's alignment."""
    split, settings = result['split'], result['settings']
    nodes = split['num_users'] + split['num_items']
    dim, llm_dim = settings['dim'], settings['llm_dim']
    if 'DaRec' in label and label != 'ours DaRecAlign':
        return darec_flops(min(4096, nodes), llm_dim, dim)
    if 'RLMRec-Con' in label or 'RLMRecCon' in label:
        users = split['num_users']
        return con_flops(users, tuple(split['unique']), llm_dim, dim)
    if 'RLMRec-Gen' in label or 'RLMRecGen' in label:
        return gen_flops(max(nodes // 10, 1), llm_dim, dim)
    return None


def floor_seconds(result: Result, label: str) -> float | None:
    flops = alignment_flops(result, label)
    if flops is None:
        return None
    kind = 'bfloat16' if label.endswith('bf16') else 'float32'
    return float(flops / result['rates'][f'{kind}_flops'])


def roofline_cell(result: Result, label: str) -> str:
    floor = floor_seconds(result, label)
    step = seconds(result, label, 'step')
    if floor is not None and step is not None:
        gflop = (alignment_flops(result, label) or 0) / 1e9
        share = floor / statistics.median(step)
        return f'{share:.0%} of matrix rate ({gflop:.1f} GFLOP)'
    fractions = [
        propagation_fraction(result, label, kind)
        for kind in ('once', 'gathered')
    ]
    if fractions[0] is None or fractions[1] is None:
        return ''
    return f'{fractions[0]:.0%} / {fractions[1]:.0%} of bandwidth'


def contenders_table(result: Result) -> list[str]:
    head = [title for title, _, _ in COLUMNS.values()]
    head = ['contender', *head, 'training, MiB', 'evaluation, MiB', 'roofline']
    lines = [f'| {" | ".join(head)} |', '|---' * len(head) + '|']
    for label, figures in result['contenders'].items():
        cells = [label]
        for do, (_, unit, digits) in COLUMNS.items():
            taken = seconds(result, label, do)
            cells.append('' if taken is None else cell(taken, unit, digits))
        for do in ('epoch', 'evaluate'):
            peak = figures.get(do, {}).get('peak_mib')
            cells.append('' if peak is None else f'{peak:.0f}')
        cells.append(roofline_cell(result, label))
        lines.append(f'| {" | ".join(cells)} |')
    return lines


def ratio(
    result: Result, do: str, slow: str, fast: str, fast_do: str | None = None
) -> str | None:
    """How many times as long one takes, turn by turn if they took turns."""
    long = seconds(result, slow, do)
    short = seconds(result, fast, fast_do or do)
    if long is None or short is None:
        return None
    turns = result['turns']
    if len(long) != len(short) or turns[slow] != turns[fast]:
        return f'{statistics.median(long) / statistics.median(short):.2f} x'
    ratios = [a / b for a, b in zip(long, short, strict=True)]
    return cell(ratios, 1.0, 2) + ' x'


def over_floor(result: Result, label: str) -> str | None:
    """The step, and what alignment adds to it, over the floor."""
    floor, step = floor_seconds(result, label), seconds(result, label, 'step')
    base = seconds(result, 'ours LightGCN dropout', 'step')
    if floor is None or step is None or base is None:
        return None
    whole = statistics.median(step)
    added = whole - statistics.median(base)
    return f'{whole / floor:.2f} x; without the backbone {added / floor:.2f} x'


def share(result: Result, label: str) -> str | None:
    found = [
        propagation_fraction(result, label, kind)
        for kind in ('once', 'gathered')
    ]
    if found[0] is None or found[1] is None:
        return None
    return f'{found[0]:.0%} (each row once), {found[1]:.0%} (one an edge)'


def figures_table(result: Result) -> list[str]:
    def of(do: str, slow: str, fast: str) -> str | None:
        return ratio(result, do, slow, fast)

    ours, base = 'ours LightGCN', 'ours LightGCN dropout'
    rows = {
        'epoch, RecBole / ours': ('5', of('epoch', 'RecBole LightGCN', ours)),
        'epoch, PyG / ours': ('10', of('epoch', 'PyG LightGCN', ours)),
        'epoch with edge dropout, plain / ours': (
            '',
            of('epoch', 'plain LightGCN', base),
        ),
        'propagation, share of bandwidth': ('60 %', share(result, ours)),
        'DaRecAlign step / backbone': (
            'at most 1.3',
            of('step', 'ours DaRecAlign', base),
        ),
        'evaluation, RecBole / ours': (
            '10',
            of('evaluate', 'RecBole LightGCN', ours),
        ),
        'evaluation, RecBole with its default batch / ours': (
            '',
            ratio(
                result, 'evaluate_default', 'RecBole LightGCN', ours, 'evaluate'
            ),
        ),
    }
    for name, plain in (
        ('DaRecAlign paper', 'DaRec'),
        ('RLMRecConAlign', 'RLMRec-Con'),
    ):
        rows[f'{name} / matrix products'] = (
            'at most 1.3',
            over_floor(result, f'ours {name}'),
        )
        rows[f'plain {plain} / {name} bf16'] = (
            '4',
            of('step', f'plain {plain}', f'ours {name} bf16'),
        )
    for name in ('NGCF', 'NCL'):
        rows[f'{name} epoch, RecBole / ours'] = (
            '',
            of('epoch', f'RecBole {name}', f'ours {name}'),
        )
    lines = ['| figure | goal | measured |', '|---|---|---|']
    for name, (goal, value) in rows.items():
        lines.append(f'| {name} | {goal} | {value or "not measured"} |')
    return lines


def convergence_table(result: Result) -> list[str]:
    courses = result['convergence']
    best = {k: max(row[METRIC] for row in v) for k, v in courses.items()}
    lines = [
        f'| contender | best validation {METRIC} | s to 99 % of it | '
        's to 99 % of the best of all | epochs |',
        '|---|---|---|---|---|',
    ]
    for label, course in courses.items():
        own = seconds_to(course, 0.99 * best[label])
        common = seconds_to(course, 0.99 * max(best.values()))
        lines.append(
            f'| {label} | {best[label]:.4f} | {own:.1f} | '
            f'{"never" if common is None else f"{common:.1f}"} | '
            f'{course[-1]["epoch"]} |'
        )
    return lines


def report(result: Result) -> str:
    machine, rates, split = (result[k] for k in ('machine', 'rates', 'split'))
    edges, dim = split['train'], result['settings']['dim']
    layers = result['settings']['layers']
    nodes = split['num_users'], split['num_items']
    moved = propagation_bytes(*nodes, edges, dim, layers)
    flops = propagation_flops(edges, dim, layers)
    lines = [
        f'{machine["processor"]}; {machine["cores"]} cores, '
        f'{machine["memory_gib"]} GiB, {machine["system"]}, Python '
        f'{machine["python"]}; load {machine["load"][0]:.1f} at the start.',
        '',
        f'Measured: copy {rates["copy_bytes_per_second"] / 1e9:.1f} GB/s, '
        f'products {rates["float32_flops"] / 1e9:.0f} GFLOP/s in float32 and '
        f'{rates["bfloat16_flops"] / 1e9:.0f} in bfloat16. A propagation of '
        f'{layers} layers is {flops / 1e6:.0f} MFLOP and moves '
        f'{moved["once"] / 1e6:.1f} MB if each row is read once, '
        f'{moved["gathered"] / 1e6:.1f} MB if one is read for every edge.',
        '',
        f'Versions: {json_like(all_versions(result))}. Settings: '
        f'{json_like(result["settings"])}. Data: {json_like(split)}.',
        '',
        'Medians with quartiles.',
        '',
        *contenders_table(result),
        '',
        *figures_table(result),
    ]
    if result['convergence']:
        lines += ['', *convergence_table(result)]
    for label, why in result['failed'].items():
        lines += ['', f'{label} was left out: {why.strip().splitlines()[-1]}']
    return '\n'.join(lines) + '\n'


def all_versions(result: Result) -> dict[str, str]:
    """Those of a package; peers have environments of their own."""
    found: dict[str, set[str]] = {}
    for versions in result['versions'].values():
        for package, version in versions.items():
            found.setdefault(package, set()).add(version)
    return {k: ', '.join(sorted(v)) for k, v in sorted(found.items())}


def json_like(values: dict[str, Any]) -> str:
    return ', '.join(f'{key} {value}' for key, value in values.items())
