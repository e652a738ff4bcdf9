"""Compiled fits: the same as uncompiled ones, and plain words where nothing compiles."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from genie_gym.errors import ConfigError
from genie_gym.training.loop.trainer import run_training
from genie_gym.utils.compile import compiler_errors_as_config_errors
from tests.training.loop.small_models import CONFIG, Line, line_batch, make, nothing

FIT = """
from dataclasses import replace
from pathlib import Path
from genie_gym.training.loop.trainer import run_training
from tests.training.loop.small_models import CONFIG, Line, line_batch, make, nothing
print(run_training(make(Line), line_batch, nothing, replace(CONFIG, compile=True), Path("{folder}")).finished)
"""


@pytest.mark.slow
def test_a_compiled_fit_is_the_same_fit(tmp_path):
    eager, compiled = make(Line), make(Line)
    run_training(eager, line_batch, nothing, CONFIG, tmp_path / "eager")
    torch._dynamo.utils.counters.clear()
    assert run_training(compiled, line_batch, nothing, replace(CONFIG, compile=True), tmp_path / "compiled").finished
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2  # the sum it was tried on, and the model
    for one, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_without_a_compiler_a_fit_goes_on_and_says_so(tmp_path):
    environment = os.environ | {"CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FIT.format(folder=tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.strip().endswith("True"), done.stderr
    assert "RuntimeWarning: torch cannot compile here (" in done.stderr
    assert "install a C++ compiler (apt install g++), or leave compile out" in done.stderr


def test_a_compiler_that_fails_later_is_told_of_in_plain_words():
    from torch._dynamo.exc import TorchDynamoException

    expected = pytest.raises(
        ConfigError, match=r"\(file too short\); if an earlier run was killed .* leave compile out"
    )
    with expected, compiler_errors_as_config_errors():
        raise TorchDynamoException("backend='inductor' raised:\nfile too short\nand a long story")
