"""Models of RecBole, with its data format, trainer and full-sort evaluation.

RecBole's default ``eval_batch_size`` of 4096 counts scores: with more than 4096
items it ranks one user at a time. That is ``evaluate_default``; ``evaluate`` is
given batches of 1024 users.
"""

import os
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import recbole
import torch
from protocol import Contender, serve
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.utils import get_model, get_trainer, init_seed
from split import Split

EVAL_USERS = 1024


def write_atomic_files(split: Split, folder: Path) -> None:
    """One file a split, tab-separated under a typed header."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {'train': split.train, 'valid': split.val, 'test': split.test}
    for name, pairs in parts.items():
        np.savetxt(
            folder / f'split.{name}.inter',
            pairs.T,
            fmt='%d',
            delimiter='\t',
            header='user_id:token\titem_id:token',
            comments='',
        )


def configuration(name: str, settings: dict[str, Any], data: Path) -> Config:
    dim, layers = settings['dim'], settings['layers']
    options = {
        'data_path': str(data.parent),
        'benchmark_filename': ['train', 'valid', 'test'],
        'load_col': {'inter': ['user_id', 'item_id']},
        'checkpoint_dir': str(data.parent / 'checkpoints'),
        'embedding_size': dim,
        'train_batch_size': settings['batch'],
        'learning_rate': settings['lr'],
        'seed': settings['seed'],
        'eval_args': {'group_by': 'user', 'order': 'RO', 'mode': 'full'},
        'metrics': ['Recall', 'NDCG'],
        'topk': [5, 10, 20],
        'valid_metric': 'NDCG@20',
        'use_gpu': False,
        'show_progress': False,
        'state': 'ERROR',
        'reg_weight': 1e-5,
    }
    if name == 'NGCF':
        options |= {'hidden_size_list': [dim] * layers}
        options |= {'message_dropout': 0.1}
    else:
        options |= {'n_layers': layers}
    if name == 'NCL':
        # From the first epoch on, as what is timed is not the warm-up.
        options |= {'num_clusters': settings['clusters'], 'warm_up_step': 0}
    return Config(model=name, dataset=data.name, config_dict=options)


class RecBole(Contender):
    def __init__(
        self, name: str, split: Split, settings: dict[str, Any]
    ) -> None:
        os.chdir(settings['work'])  # its logs go to the working folder
        self.split = split
        data = Path(settings['work']).resolve() / f'recbole-{name}' / 'split'
        write_atomic_files(split, data)
        config = configuration(name, settings, data)
        init_seed(config['seed'], config['reproducibility'])
        dataset = create_dataset(config)
        self.train_data, _, self.default = data_preparation(config, dataset)
        config['eval_batch_size'] = EVAL_USERS * dataset.item_num
        self.batched = FullSortEvalDataLoader(
            config, self.default._dataset, self.default._sampler
        )
        self.dataset = self.train_data.dataset
        self.model = get_model(name)(config, self.dataset)
        trainer = get_trainer(config['MODEL_TYPE'], name)
        self.trainer = trainer(config, self.model)
        self.trainer.eval_collector.data_collect(self.train_data)
        self.num_epochs = 0
        if hasattr(self.model, 'e_step'):
            self.model.e_step()
        self.batches = cycle(list(islice(self.train_data, 8)))

    def step(self) -> None:
        self.model.train()
        self.trainer.optimizer.zero_grad()
        loss = self.model.calculate_loss(next(self.batches))
        (sum(loss) if isinstance(loss, tuple) else loss).backward()
        self.trainer.optimizer.step()

    def epoch(self) -> None:
        # What the trainer of NCL does before each epoch.
        every = getattr(self.trainer, 'num_m_step', None)
        if every is not None and self.num_epochs % every == 0:
            self.model.e_step()
        self.trainer._train_epoch(self.train_data, self.num_epochs)
        self.num_epochs += 1

    @torch.no_grad()
    def propagate(self) -> Any:
        self.model.eval()
        return self.model.forward()[:2]

    def evaluate(self) -> Any:
        return self._evaluate(self.batched)

    def evaluate_default(self) -> Any:
        return self._evaluate(self.default)

    def _evaluate(self, data: Any) -> Any:
        # Otherwise a second call would use embeddings of the first.
        self.model.restore_user_e = self.model.restore_item_e = None
        return self.trainer.evaluate(data, load_best_model=False)

    def embed(self) -> tuple[Any, Any]:
        """In the order of the split: RecBole counts in its own."""
        sizes = {
            self.dataset.uid_field: self.split.num_users,
            self.dataset.iid_field: self.split.num_items,
        }
        out = []
        for x, (field, size) in zip(
            self.propagate(), sizes.items(), strict=True
        ):
            ids = self.dataset.field2token_id[field]
            table = np.zeros((size, x.size(1)), dtype=np.float32)
            for token, row in ids.items():
                if token != '[PAD]':
                    table[int(token)] = x[row].numpy()
            out.append(table)
        return out[0], out[1]


if __name__ == '__main__':
    serve(
        RecBole,
        {'recbole': recbole.__version__, 'torch': torch.__version__},
    )
