"""Ctrl-C prints one line whenever it comes: while Python imports, while a command works, and while it ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from genie_gym.utils.signals import interruptible, interrupts_held, stop_signal

# Interrupts itself as soon as a module is about to be imported, as if the user had pressed Ctrl-C then.
PRESSED = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
module, times, program = sys.argv[1], int(sys.argv[2]), sys.argv[3]

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.argv = [program, *sys.argv[4:]]
sys.orig_argv = ["python", "-m", "genie_gym"]
if program == "-m":
    runpy.run_module("genie_gym", run_name="__main__")
else:
    from genie_gym.cli import main
    sys.exit(main())
"""


def pressed(module: str, *words: str, program: str = "-m", times: int = 1) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PRESSED, module, str(times), program, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("program", ["-m", "/usr/bin/genie-gym"])
@pytest.mark.parametrize("module", ["gymnasium", "numpy", "genie_gym.cli", "tyro", "genie_gym.games.listing"])
def test_while_a_module_is_imported(module, program):
    done = pressed(module, "games", program=program, times=2)
    assert (done.returncode, done.stderr) == (130, "genie-gym: interrupted\n")


@pytest.mark.parametrize("module", ["torch", "torch.nn", "torch._C"])
def test_while_torch_is_imported(module):
    done = pressed(module, "train", "Toy")
    assert (done.returncode, done.stderr) == (130, "genie-gym: interrupted\n")


def test_while_an_error_is_said():
    """The line of the error is the only one, though Ctrl-C is pressed before it is written."""
    script = """
import importlib, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from genie_gym.utils.signals import leave_at_once_when_interrupted
leave_at_once_when_interrupted()
command = importlib.import_module("genie_gym.cli.main")
printable = command.printable

def pressed(text):
    os.kill(os.getpid(), signal.SIGINT)
    return printable(text)

command.printable = pressed
sys.exit(command.main(["train", "Nowhere"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Nowhere" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_at_any_moment():
    """From when Python has found the package; before that Python alone is to blame."""
    for tenths in range(3, 40):
        command = [sys.executable, "-m", "genie_gym", "train", "Toy"]
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        time.sleep(tenths / 10)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
        assert len(shown.splitlines()) == 1, (tenths, shown)


def test_other_programs_keep_their_ctrl_c():
    script = "import signal, genie_gym; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    script = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {script}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\n"
    before = signal.getsignal(signal.SIGINT)
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is before


def test_held_interrupts_are_heard_afterwards_and_not_by_what_was_started():
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5); print('done')"], stdout=-1)
        os.kill(child.pid, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert child.communicate()[0] == b"done\n"


def test_work_that_stops_on_request_is_not_ended():
    with stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop == [signal.SIGINT]


def test_a_closed_pipe_is_no_error():
    script = f"{sys.executable} -m genie_gym games | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1


COLLECT = """
import sys
sys.argv = ["genie-gym", "collect", "Toy", "--steps", "10000000", "--workers", "2"]
print("begin", flush=True)
from genie_gym.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("delay", [0.3, 0.7, 1.2, 2.0])
def test_while_worker_processes_start(delay):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", COLLECT]
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        assert process.stdout.readline() == "begin\n"
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    said = [line for line in (printed + complaints).splitlines() if "interrupted" in line]
    assert len(said) == 1 and "Traceback" not in complaints
