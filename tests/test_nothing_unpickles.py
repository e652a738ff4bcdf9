"""Nothing in the package reads pickles, which can run code: neither its own calls nor those of libraries."""

import ast
from pathlib import Path

import pytest

import genie_gym

PACKAGE = Path(genie_gym.__file__).parent
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "stable_baselines3.common.save_util"}
EVALUATE = {"eval", "exec", "compile_command"}


def reads(tree: ast.AST) -> list[str]:
    """What in a file may read a pickle, or run what it reads."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name in PICKLES]
        elif isinstance(node, ast.ImportFrom) and node.module in PICKLES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            found += _call(ast.unparse(node.func), {one.arg: ast.unparse(one.value) for one in node.keywords})
    return found


def _call(function: str, options: dict[str | None, str]) -> list[str]:
    refused = {
        "torch.load": options.get("weights_only") != "True",
        "np.load": options.get("allow_pickle") != "False",
        "yaml.load": True,
    }
    algorithm = function in {f"{name}.load" for name in ("A2C", "DQN", "PPO", "RecurrentPPO", "QRDQN", "TRPO")}
    return [function] if refused.get(function) or algorithm or function in EVALUATE else []


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_reads_pickles(module):
    assert reads(ast.parse(module.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from stable_baselines3.common.save_util import load_from_zip_file",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "PPO.load(path, env=env)",
        "eval(text)",
    ],
)
def test_a_reader_would_be_found(code):
    assert reads(ast.parse(code))
