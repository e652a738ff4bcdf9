"""The command line: parse a command, run it, and report what a user can cause in one line on stderr."""

import errno
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import tyro
from tyro.extras import SubcommandApp

from genie_gym.cli import data, evaluate, explore, judge, retroact, train, visualize
from genie_gym.errors import ConfigError, GenieGymError, printable
from genie_gym.utils.extras import naming_extras
from genie_gym.utils.signals import end_quietly_when_interrupted, interruptible
from genie_gym.utils.validation import short

__all__ = ["COMMANDS", "commands", "main"]

ABOUT = "World models of games: record a game, train a world model, step it as a Gymnasium environment."
FAILED, INTERRUPTED, PIPE_CLOSED = 2, 130, 141  # exit codes, as shells know them

# In the order in which a user needs them; each takes one configuration, whose fields are its options.
COMMANDS: tuple[Callable[..., int | None], ...] = (
    data.games,
    retroact.retroact,
    data.collect,
    data.convert,
    train.train,
    train.finetune,
    train.train_upscaler,
    train.train_termination,
    train.map_actions,
    evaluate.evaluate,
    visualize.demo,
    visualize.play,
    visualize.export_web,
    visualize.serve,
    visualize.inspect,
    explore.explore,
    explore.coverage,
    explore.refit,
    judge.annotate,
)


def commands() -> SubcommandApp:
    """Return the application with every command under its name."""
    roms = SubcommandApp()
    roms.__doc__ = "Import ROMs of console games."
    roms.command(name="import")(data.import_roms)
    study = SubcommandApp()
    study.__doc__ = "User studies of world models."
    study.command(name="run")(judge.run_study)
    study.command(name="results")(judge.study_results)
    app = SubcommandApp()
    app.command(roms, name="roms")
    for command in COMMANDS:
        app.command(command)
    app.command(study, name="study")
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; `arguments` default to those of the process.

    Returns:
        The exit code: 0, 2 for an error (said in one line on stderr), 130 if interrupted.
    """
    # Before torch is loaded: threads that spin while they wait block a busy machine, and threads that sleep at once
    # must be woken for every small product. So spin, but briefly: on two cores with AVX2 a step of 16 dreams then takes
    # 180 ms beside a busy program (asleep 130, left alone 285) and 100 ms without one (asleep 140, left alone 100).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    with interruptible(), _short_messages(), _one_voice():
        try:
            _check_words(sys.argv[1:] if arguments is None else arguments)
            config = (tyro.conf.FlagCreatePairsOff, tyro.conf.PositionalRequiredArgs, tyro.conf.OmitArgPrefixes)
            with naming_extras():
                return commands().cli(prog="genie-gym", description=ABOUT, args=arguments, config=config) or 0
        except GenieGymError as error:
            return _complain(error, FAILED)
        except KeyboardInterrupt:
            return _complain("interrupted", INTERRUPTED)
        except BrokenPipeError:  # of `genie-gym games | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is written when Python ends
            return PIPE_CLOSED
        except MemoryError as error:
            return _complain(f"there is not enough memory for this ({error}); ask for less at once", FAILED)
        except OSError as error:
            if not _disk_is_full(error):
                if error.errno is None:  # not of the system: our mistake
                    raise
                name = error.filename or "a file or device that was named cannot be read or written"
                return _complain(f"{name}: {error.strerror}", FAILED)
            advice = "free some space or set GENIE_GYM_HOME to another disk, then run the same command again"
            return _complain(f"the disk is full ({error}); {advice}", FAILED)


def _check_words(words: Sequence[str]) -> None:
    """Raise ConfigError for a word that no path or name may be."""
    for word in words:
        if "\0" in word:
            raise ConfigError(f"no name may hold a NUL character; got {short(word)}")


def _complain(what: object, code: int) -> int:
    if code:
        end_quietly_when_interrupted()
    print("genie-gym:", printable(" ".join(str(what).split())), file=sys.stderr)
    return code


def _disk_is_full(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def _short_messages() -> Iterator[None]:
    """Warnings in one line; silence from TensorBoard's thread about a full disk, of which the command speaks itself."""
    before = threading.excepthook
    threading.excepthook = lambda what: None if _disk_is_full(what.exc_value) else before(what)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            yield
        finally:
            threading.excepthook = before


@contextmanager
def _one_voice() -> Iterator[None]:
    """Let only the first of the processes that torchrun started print; errors are said by whichever has them."""
    if os.environ.get("RANK", "0") == "0" or "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        yield


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Our own warnings, without the place in the source; those of other kinds are for developers."""
    if category is UserWarning:
        _complain(message, 0)
