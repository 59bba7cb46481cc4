"""The parser, made from the signatures and docstrings of the commands."""

import argparse
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import docstring_parser
import yaml
from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined]

from pyg_darec._version import __version__
from pyg_darec.cli.encode import encode
from pyg_darec.cli.evaluate import evaluate
from pyg_darec.cli.export import export
from pyg_darec.cli.info import info
from pyg_darec.cli.prepare import prepare
from pyg_darec.cli.profile import profile
from pyg_darec.cli.recommend import recommend
from pyg_darec.cli.train import train
from pyg_darec.train.run_folder import CONFIG, read_config

COMMANDS: dict[str, Callable[..., None]] = {
    'prepare': prepare,
    'profile': profile,
    'encode': encode,
    'train': train,
    'evaluate': evaluate,
    'recommend': recommend,
    'export': export,
    'info': info,
}


# Arguments that say how to read a table, which is an argument itself.
_COLUMNS = 'items_sep', 'item_id', 'name', 'text'
_OF_TABLES = {
    'prepare': ('items', (*_COLUMNS, 'missing')),
    'recommend': ('new_items', (*_COLUMNS, 'encoder', 'base_url', 'dim')),
}

# How an integer is written whose text is its number.
_WHOLE = re.compile('0|-?[1-9][0-9]*')
_UNSET = argparse.SUPPRESS  # no default, and none shown


def parse(argv: Sequence[str]) -> tuple[str, bool, dict[str, Any]]:
    r"""The name of a command, whether to debug, and what to call it with."""
    parser, commands = _make_parser({})
    args = parser.parse_args(argv)
    values = args[args.command]
    if complaint := _misuse(args.command, values):
        commands[args.command].error(complaint)
    if values.get('resume') is not None:
        try:
            defaults = _read_defaults(values.resume)
        except (OSError, ValueError) as error:
            commands[args.command].error(str(error))
        # Once more: what the run began with, unless it is given anew.
        parser, commands = _make_parser({**defaults, 'run': values.resume})
        args, given = parser.parse_args(argv), values
        values = args[args.command]
        # A '--config' would replace them if they are what the run began with.
        for key in ('data', 'run'):
            values[key] = given.get(key) or values[key]
    out = values.as_dict()
    out.pop('config')
    debug = out.pop('debug')
    required = [
        name
        for name, parameter in _parameters(args.command).items()
        if parameter.default is parameter.empty and out.get(name) is None
    ]
    if required:
        commands[args.command].error(
            f'these arguments are required: {", ".join(required)}'
        )
    return args.command, debug, out


def _misuse(name: str, values: Any) -> str | None:
    """What is wrong with arguments that are right each."""
    table, keys = _OF_TABLES.get(name, ('', ()))
    if table and values[table] is None:
        defaults = {key: _parameters(name)[key].default for key in keys}
        idle = [_flag(k) for k, v in defaults.items() if values[k] != v]
        if idle:
            need = f'these arguments need {_flag(table)}'
            return f'{need}: {", ".join(idle)}'
    resume, run = values.get('resume'), values.get('run')
    if None not in (resume, run) and resume.resolve() != run.resolve():
        return (
            "'run' needs to be the folder of --resume; leave it out "
            f"(got '{run}' and --resume '{resume}')"
        )
    return None


def _read_defaults(run: Path) -> dict[str, Any]:
    out = read_config(run)
    if unknown := sorted(map(str, out.keys() - _parameters('train').keys())):
        raise ValueError(
            f"'{run / CONFIG}' needs to have arguments of 'train' alone; "
            f'remove others (got {unknown})'
        )
    return out


def _make_parser(
    resumed: Mapping[str, Any],
) -> tuple[ArgumentParser, dict[str, ArgumentParser]]:
    parser = ArgumentParser(
        prog='pyg-darec',
        version=__version__,
        description='From a table of interactions to recommendations with '
        'the knowledge of a language model: prepare, encode, train, recommend.',
        formatter_class=_HelpFormatter,  # of the commands as well
    )
    commands = parser.add_subcommands(dest='command', metavar='COMMAND')
    parsers = {}
    for name in COMMANDS:
        command = _make_command(name)
        if name == 'train':
            command.set_defaults(dict(resumed))
        about = docstring_parser.parse(COMMANDS[name].__doc__ or '')
        commands.add_subcommand(name, command, help=about.short_description)
        command.prog = f'pyg-darec {name}'
        parsers[name] = command
    return parser, parsers


def _make_command(name: str) -> ArgumentParser:
    about = docstring_parser.parse(COMMANDS[name].__doc__ or '')
    texts = {p.arg_name: p.description for p in about.params}
    types = get_type_hints(COMMANDS[name])
    parser = ArgumentParser(description=about.description)
    for key, parameter in _parameters(name).items():
        options: dict[str, Any] = {'help': texts.get(key), 'type': types[key]}
        flag = _flag(key)
        if parameter.kind is not parameter.KEYWORD_ONLY:
            # Not required here: it may be in the file of '--config'.
            flag = key
            options |= {'nargs': '?', 'default': _UNSET}
            if parameter.default is not parameter.empty:
                options['metavar'] = f'[{key}]'
        elif parameter.default is False:
            options = {'help': texts.get(key), 'action': 'store_true'}
        else:
            default = parameter.default
            # jsonargparse puts what it has checked back into the list.
            is_list = isinstance(default, tuple)
            options['default'] = list(default) if is_list else default
            if element := _element(types[key]):
                options |= {'nargs': '+', 'type': element}
                options['metavar'] = key.upper()
        action = parser.add_argument(flag, **options)
        if flag == key:
            # Else it would have to stand next to the others without a flag.
            action.nargs = None
    parser.add_argument(
        '--config',
        action=_Config,
        help='a YAML file with any of these arguments; those that follow it '
        'on the command line replace its own',
    )
    parser.add_argument(
        '--debug', action='store_true', help='show where an error comes from'
    )
    return parser


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(COMMANDS[name]).parameters


def _flag(key: str) -> str:
    return f'--{key.replace("_", "-")}'


def _element(hint: Any) -> Any:
    """What reads the values of a list."""
    for choice in (hint, *get_args(hint)):
        if get_origin(choice) in (list, tuple):
            element = get_args(choice)[0]
            return _to_text if element is str else element
    return None


def _to_text(value: Any) -> str:
    """An element of a list, which is a number in YAML if it looks like one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f'Expected a text; write it in quotes (got {value!r})')
    return str(value)


class _Config(ActionConfigFile):
    """Leaves alone what was given without a flag: the parser reads that first,
    wherever it stands, so that a file would always replace it.
    """

    def __call__(
        self, parser: Any, cfg: Any, values: Any, option_string: Any = None
    ) -> None:
        _check_numbers(parser, str(values))
        given = {
            action.dest: cfg[action.dest]
            for action in parser._actions
            if not action.option_strings
            and cfg.get(action.dest, action.default) != action.default
        }
        super().__call__(parser, cfg, values, option_string)
        for key, value in given.items():
            cfg[key] = value


def _check_numbers(parser: ArgumentParser, config: str) -> None:
    """In YAML, 010 is 8 and 1:30 is 90: ids of nobody, or of somebody else."""
    text = config
    with suppress(OSError, ValueError):  # it may be the text itself
        text = Path(config).read_text(encoding='utf-8')
    with suppress(yaml.YAMLError):  # said later
        root = yaml.compose(text, yaml.SafeLoader)
        is_mapping = isinstance(root, yaml.MappingNode)
        values = [value for _, value in root.value] if is_mapping else []
        lists = [x.value for x in values if isinstance(x, yaml.SequenceNode)]
        for node in chain(*lists):
            is_int = node.tag == 'tag:yaml.org,2002:int'
            if is_int and not _WHOLE.fullmatch(node.value):
                parser.error(
                    'a list in YAML holds what it takes for another number; '
                    'write it in quotes if it is an id, and as 8 or 90 if it '
                    f"is a number (got {node.value} in '{config}')"
                )


class _HelpFormatter(argparse.HelpFormatter):
    """Shows the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or '', action.default
        if default is None or default is False or default == _UNSET:
            return text
        if isinstance(default, list):
            default = ' '.join(map(str, default))
        return f'{text} (default: {default})'
