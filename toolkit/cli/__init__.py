"""The command line: one command per file; each parses, calls the library and prints.

`COMMANDS` is the one list of them. Exit codes: 0 done, 1 failed with one line on stderr, 2 wrong call,
130 interrupted (Ctrl-C; SIGTERM, with which containers and services are stopped; SIGHUP of a closed ssh session).
"""

from __future__ import annotations

import importlib
import io
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from edgedepth.core.errors import EdgeDepthError

# (command, module in this package, function)
COMMANDS = (
    ("run", "run", "run"),
    ("export", "export", "export"),
    ("build", "build", "build"),
    ("trust", "trust", "trust"),
    ("cache", "cache", "cache"),
    ("calibrate", "calibrate", "calibrate"),
    ("scale", "scale", "scale"),
    ("eval", "eval", "evaluate"),
    ("train", "train", "train"),
    ("reproduce", "reproduce", "reproduce"),
    ("data", "data", "data"),
    ("synth", "synth", "synth"),
    ("sigma", "sigma", "sigma"),
    ("bench", "bench", "bench"),
    ("inspect", "inspect", "inspect"),
    ("doctor", "doctor", "doctor"),
)

DEBUG_FLAG = "--debug"


def build_app() -> typer.Typer:
    """The typer application with every command."""
    app = typer.Typer(
        name="edgedepth",
        help="Metric depth from one camera, on NVIDIA devices and plain CPUs.",
        epilog=f"Any command takes {DEBUG_FLAG} to show a traceback when it fails.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    for name, module, function in COMMANDS:
        command = getattr(importlib.import_module(f"edgedepth.cli.{module}"), function)
        app.command(name)(command)
    app.callback()(_root)
    return app


def _print_version(wanted: bool) -> None:
    """As a callback of its option it answers before a command is asked for."""
    if wanted:
        from edgedepth import __version__

        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Metric depth from one camera, on NVIDIA devices and plain CPUs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG_FLAG in given
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names may be in any encoding
    try:
        with _ends_as_ctrl_c():
            build_app()([argument for argument in given if argument != DEBUG_FLAG], prog_name="edgedepth")
    except KeyboardInterrupt:  # while the commands load; later on it is typer's
        if debug:
            raise
        raise SystemExit(130) from None
    except EdgeDepthError as error:
        if debug:
            raise
        fail(str(error))
    except Exception as error:  # whatever a library throws at us, the user gets one line
        if debug:
            raise
        fail(f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (run again with {DEBUG_FLAG})")


@contextmanager
def _ends_as_ctrl_c() -> Iterator[None]:
    """Let what ends a command raise KeyboardInterrupt too, so that one that is stopped keeps what it has done.

    SIGHUP, of a terminal or an ssh session that closes, is left alone where it is ignored, as nohup has it.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may say so
        yield
        return
    ends = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def fail(message: str) -> None:
    """Print one line on stderr, whatever is quoted in it, and exit with code 1."""
    print(f"edgedepth: {' '.join(message.splitlines())}", file=sys.stderr)
    raise SystemExit(1)
