"""Imports point one way only: from the real game towards the command line; heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import genie_gym

PACKAGE = Path(genie_gym.__file__).parent

# Each room may import those on the lines above it; rooms of one line do not know each other.
ORDER = [
    {"errors"},
    {"utils"},
    {"start_up"},
    {"games", "data", "models", "metrics"},
    {"world_model", "registration"},
    {"training", "envs", "rewards"},
    {"wrappers", "sb3"},
    {"collection"},
    {"evaluation"},
    {"exploration", "analysis"},
    {"refitting"},
    {"studies", "annotation"},
    {"web", "web_export"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}

# A library and the only room that imports it.
OWNED = {
    "stable_retro": "games",
    "ale_py": "games",
    "procgen": "games",
    "h5py": "data",
    "minari": "data",
    "pyarrow": "data",
    "av": "data",
    "stable_baselines3": "sb3",
    "sb3_contrib": "sb3",
    "torchrl": "envs",
    "ray": "collection",
    "tensordict": "envs",
    "fastapi": "web",
    "starlette": "web",
    "uvicorn": "web",
    "tyro": "cli",
}
EMULATORS = ("stable_retro", "ale_py", "procgen")
HEAVY = ("torch", "stable_retro", "ale_py", "procgen", "stable_baselines3", "h5py", "lightning_fabric", "tensorboard")


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported anywhere below a node: "genie_gym.games" for `from genie_gym import games`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room is meant"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def modules() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


def wrong_imports(room: str, tree: ast.AST) -> list[str]:
    """What a file of that room must not import: our own rooms on its level or above, and others' libraries."""
    wrong = []
    for name in imported(tree):
        top, *rest = name.split(".")
        if top == "genie_gym" and rest and rest[0] != room:
            if LEVEL[rest[0]] >= LEVEL[room]:
                wrong.append(name)
        elif OWNED.get(top, room) != room or top in ("training", "benchmarks", "tests"):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("module", [m for m in modules() if m != Path("__init__.py")], ids=str)
def test_order(module):
    assert wrong_imports(room_of(module), ast.parse((PACKAGE / module).read_text())) == []


def test_a_wrong_import_would_be_found():
    tree = ast.parse(
        "def f():\n    from genie_gym import games, errors\n    import genie_gym.cli.main\n"
        "from genie_gym.data.sequences import Clips\nimport stable_retro.data\nimport torch\n"
    )
    assert set(wrong_imports("data", tree)) == {"genie_gym.games", "genie_gym.cli.main", "stable_retro.data"}


def at_load(tree: ast.Module) -> ast.Module:
    """A module without its functions, its classes and what only a type checker reads."""
    statements = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    checked = [node for node in statements if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return ast.Module([node for node in statements if node not in checked], type_ignores=[])


def test_package_itself_only_registers():
    names = set(imported(at_load(ast.parse((PACKAGE / "__init__.py").read_text()))))
    assert {name for name in names if name.startswith("genie_gym")} == {
        "genie_gym.registration.register_games",
        "genie_gym.registration.register_own_games",
        "genie_gym.start_up",
        "genie_gym.utils.lazy.lazy_attributes",
        "genie_gym.utils.version.package_version",
    }


@pytest.mark.parametrize("module", [m for m in modules() if room_of(m) == "games"], ids=str)
def test_emulators_load_inside_functions(module):
    tree = ast.parse((PACKAGE / module).read_text())
    assert [name for name in imported(at_load(tree)) if name.split(".")[0] in EMULATORS] == []


LIGHT = [
    "genie_gym",
    "genie_gym.cli",
    "genie_gym.world_model.resolve",
    "genie_gym.world_model.sampling",
    *(f"genie_gym.{room_of(m)}.config" for m in modules() if m.name == "config.py"),
]


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_nothing_heavy(module):
    script = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_package_loads_fast():
    """Half a second on an idle machine; the least of a few measurements, in processor time, as others may be busy."""
    script = "import time; start = time.process_time(); import genie_gym; print(time.process_time() - start)"
    command = [sys.executable, "-c", script]
    times = [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(times) < 0.5


def test_dreams_start_without_the_compiler():
    script = "import sys, genie_gym.envs; print('torch._dynamo' in sys.modules)"  # takes two seconds to import
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
