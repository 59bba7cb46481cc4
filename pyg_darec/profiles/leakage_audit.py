from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyg_darec.profiles.name_mentions import Mention
from pyg_darec.profiles.profile_ranking import ProfileRanking

Answer = Literal['yes', 'no', 'unknown']
_SHOWN = 5


@dataclass(frozen=True)
class LeakageAudit:
    r"""What :func:`~pyg_darec.profiles.audit_profiles` found. It prints well.

    Args:
        made_from_training (dict): For each node type, whether the profiles
            were made from the training part of this split, by the hash in
            the manifest of their store or on the nodes.
        ranking (ProfileRanking, optional): What profiles know of held-out
            pairs; :obj:`None` if there were not both embeddings, or too few
            pairs.
        mentions (list, optional): The names of held-out items in user texts;
            :obj:`None` if there were no names or texts.
        expected_mentions (float): How many of them chance explains.
    """

    made_from_training: Mapping[str, Answer]
    ranking: ProfileRanking | None
    mentions: list[Mention] | None
    expected_mentions: float = 0.0

    @property
    def unexplained(self) -> list[Mention]:
        r"""Mentions of names that no training item of the user has."""
        return [m for m in self.mentions or [] if not m.is_explained]

    @property
    def mentions_are_suspicious(self) -> bool:
        r"""Whether there are more than chance explains, at the 1 % level."""
        from scipy.stats import poisson

        count = len(self.unexplained)
        chance = poisson.sf(count - 1, self.expected_mentions)
        return count > 0 and bool(chance < 0.01)

    @property
    def is_clean(self) -> bool | None:
        r""":obj:`False` if something speaks for leakage, :obj:`None` if
        nothing could be looked at.
        """
        ranking = self.ranking is not None and self.ranking.is_suspicious
        is_other = 'no' in self.made_from_training.values()
        if is_other or ranking or self.mentions_are_suspicious:
            return False
        looked = self.ranking is not None or self.mentions is not None
        return True if looked else None

    def __str__(self) -> str:
        words = {
            True: 'nothing found',
            False: 'LEAKAGE',
            None: 'nothing to look at',
        }
        lines = [f'Leakage audit: {words[self.is_clean]}']
        for node_type, answer in self.made_from_training.items():
            lines.append(
                f"  made from the training part of this split, '{node_type}': "
                f'{answer}'
            )
        lines += self._ranking_lines() + self._mention_lines()
        return '\n'.join(lines)

    def _ranking_lines(self) -> list[str]:
        r = self.ranking
        if r is None:
            return ['  ranking by profiles: not measured']
        share = f'{r.share:.2f} (95 %: {r.low:.2f} to {r.high:.2f})'
        if r.share != r.share:
            share = 'not defined, as training items have no lift'
        return [
            '  ranking by profiles, beyond what training items explain:',
            f'    held-out items beat {r.held_out:.1%} of comparable ones '
            f'(blind: 50 %; p = {r.p_value:.3f}; {r.num_pairs} pairs)',
            f'    training items beat {r.training:.1%}',
            f'    lift of held-out as a share of training items: {share}',
        ]

    def _mention_lines(self) -> list[str]:
        if self.mentions is None:
            return ['  held-out names in user texts: not looked for']
        found = self.unexplained
        lines = [
            f'  held-out names in user texts: {len(found)} '
            f'({self.expected_mentions:.1f} by chance), and '
            f'{len(self.mentions) - len(found)} that training items have too'
        ]
        lines += [
            f'    user {m.user!r}, item {m.item!r}: {m.name!r:.60}'
            for m in found[:_SHOWN]
        ]
        if len(found) > _SHOWN:
            lines.append(f'    and {len(found) - _SHOWN} more')
        return lines
