"""Two projects that share no answer: each sets up, trains a model, passes its checks and tests.

That takes minutes, so the suite has one of them adopt its table and train, by this repository's
library; test_bake.py has the quick tests of a new project, test_wheel.py its library.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import sysconfig
import zipfile
from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import begin, environment, git
from forking import LOGIN, SHARED, Forks
from template.making import BIN, bake, wheel_of

pytestmark = pytest.mark.slow
PROJECTS = {
    "with data": {"project_name": "Late Trains", "task": "multiclass", "data": "flights",
                  "ci": "github", "infra": "compose"},
    "without": {"project_name": "Price Watch", "task": "regression", "data": "none", "ci": "gitlab",
                "infra": "none"},
}  # fmt: skip
# CPU seconds that `make test` of a new project may take, once set up: 2 minutes on 2 cores
PATIENCE = 240
COMMANDS = ("dvc", "evergreen", "lint-imports", "mlflow", "mypy", "prefect", "pytest", "ruff",
            "uvicorn")  # fmt: skip


def call(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as in a new shell: without this repository's environment and code."""
    env = {
        name: value
        for name, value in environment(project).items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    env["PATH"] = os.environ["PATH"]
    return subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, timeout=1800)


def cpu_of_children() -> float:
    """CPU seconds of processes that have ended; a busy machine takes longer, and not more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make(project: Path, goal: str) -> subprocess.CompletedProcess[str]:
    return call(project, "make", goal)


def table(rows: int = 600) -> str:
    """Return a table as somebody has it: prices that follow from size and place, day by day."""
    lines = ["sold,size,place,price"]
    for at in range(rows):
        day = date(2024, 1, 1) + timedelta(days=at // 4)
        size, place = 40 + at * 37 % 90, "abc"[at * 7 % 3]
        price = 1000 * size + 9000 * ord(place) + at * 7919 % 6000
        lines.append(f"{day},{size},{place},{price}")
    return "\n".join(lines) + "\n"


def borrow(project: Path) -> None:
    """Do what `setup.sh dev` does, but with the libraries of this process, ours excepted."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=project, check=True
    )
    environ = project / ".venv"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environ)}))
    with zipfile.ZipFile(wheel_of(project)) as library:
        library.extractall(site)
    lent = sysconfig.get_path("purelib")
    (site / "lent.pth").write_text(f"{lent}\n{project / 'src'}\n")
    for name in COMMANDS:
        script = (BIN / name).read_bytes()
        if script.startswith(b"#!"):  # names its Python
            script = script.replace(bytes(BIN), bytes(environ / "bin"))
        (environ / "bin" / name).write_bytes(script)
        (environ / "bin" / name).chmod(0o755)
    recipes = project / ".dvc" / "tmp" / "recipes.py"
    recipes.parent.mkdir(parents=True, exist_ok=True)
    recipes.symlink_to(site / "evergreen" / "recipes.py")
    pins = sorted((project / "requirements").glob("*.txt"))
    files = (project / "setup.sh", project / "pyproject.toml", *pins)
    content = b"".join(path.read_bytes() for path in files)
    asked = ["git", "hash-object", "--stdin"]
    done = subprocess.run(asked, input=content, capture_output=True, check=True)
    (environ / "installed-dev").write_bytes(done.stdout)


def test_a_new_project_adopts_a_table_and_has_a_champion(
    template: Path, tmp_path: Path, prefect_server: str, forks: Forks
) -> None:
    project = bake(template, tmp_path / "made", **PROJECTS["without"])
    begin(project)
    env = environment(project, PREFECT_API_URL=prefect_server, PREFECT_API_AUTH_STRING=LOGIN)
    table_of_prices = tmp_path / "prices.csv"
    table_of_prices.write_text(table())

    def evergreen(*words: str) -> subprocess.CompletedProcess[str]:
        return forks.run(words, project, env, 240, own=True)

    nothing = evergreen("run")
    assert nothing.returncode == 1
    assert "adopt" in nothing.stderr, nothing.stdout + nothing.stderr
    adopted = evergreen("adopt", str(table_of_prices), "--target", "price")
    assert adopted.returncode == 0, adopted.stdout + adopted.stderr
    ran = evergreen("run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "version 1 is " in ran.stdout


@pytest.mark.parametrize(
    ("kind", "lent"),
    [
        pytest.param("without", True, id="lent", marks=pytest.mark.long),
        *(pytest.param(kind, False, id=kind, marks=pytest.mark.long) for kind in PROJECTS),
    ],
)
def test_a_new_project_runs_and_passes_its_own_tests(
    kind: str,
    lent: bool,
    template: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = PROJECTS[kind]
    if lent:  # as well a server: e2e/test_run.py has runs that start their own
        server = request.getfixturevalue("prefect_server")
        monkeypatch.setitem(SHARED, "PREFECT_API_URL", server)
        monkeypatch.setitem(SHARED, "PREFECT_API_AUTH_STRING", LOGIN)
    project = bake(template, tmp_path / "made", **answers)
    if lent:
        borrow(project)
    begin(project)
    if answers["data"] == "none":
        if not lent:
            ran = make(project, "run")
            assert ran.returncode != 0
            assert "adopt" in ran.stderr, ran.stdout + ran.stderr
        (tmp_path / "prices.csv").write_text(table())
        evergreen = str(project / ".venv" / "bin" / "evergreen")
        adopted = call(
            project, evergreen, "adopt", str(tmp_path / "prices.csv"), "--target", "price"
        )
        assert adopted.returncode == 0, adopted.stdout + adopted.stderr
        git(project, "commit", "-qam", "prices")
    ran = make(project, "run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "version 1 is " in ran.stdout
    checked = make(project, "check")  # which sets up what tests need
    assert checked.returncode == 0, checked.stdout + checked.stderr
    before = cpu_of_children()
    tested = make(project, "test")
    seconds = cpu_of_children() - before
    print(f"{kind}: `make test` took {seconds:.0f} CPU s: {tested.stdout.splitlines()[-1:]}")
    assert tested.returncode == 0, tested.stdout[-10_000:] + tested.stderr[-5_000:]
    assert " passed" in tested.stdout
    assert seconds <= PATIENCE
    left = {path.removeprefix("?? ") for path in git(project, "status", "--porcelain").splitlines()}
    assert left <= {"dvc.lock"}
