"""What holds the repository together: one source of dependencies, clean notebooks, one direction
of imports."""

import ast
import importlib.machinery
import importlib.util
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from jupyterlab.labapp import LabApp
from jupyterlab_server.settings_utils import get_settings

from statkit.cli.commands import _parser, main
from statkit.gallery.runner import notebook_parameters

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])


def name_of(requirement):
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower().replace("_", "-")


def test_environment_yml_takes_everything_from_pyproject():
    text = (ROOT / "environment.yml").read_text()
    lines = [line.strip("- ").strip() for line in text.splitlines() if line.strip().startswith("-")]
    least = PROJECT["requires-python"].removeprefix(">=")
    assert f"python={least}" in lines and "c constraints.txt" in lines and "e .[dev]" in lines
    assert set(lines) - {"conda-forge", f"python={least}", "pip", "ffmpeg", "pip:"} == {
        "c constraints.txt",
        "e .[dev]",
    }


def test_every_dependency_is_locked():
    locked = {
        name_of(line): line for line in (ROOT / "constraints.txt").read_text().splitlines() if line
    }
    assert all("==" in line for line in locked.values())
    needed = REQUIRED
    elsewhere = {name_of(r) for r in needed if "darwin" in r and "linux" not in r}
    assert {name_of(r) for r in needed} - elsewhere <= set(locked)


def test_every_package_is_explained_in_the_librarys_readme():
    readme = (ROOT / "statkit" / "README.md").read_text().lower()
    assert [r for r in REQUIRED if f"`{name_of(r)}`" not in readme] == []


def test_the_readmes_example_prints_what_the_readme_shows(demo_folder, capsys):
    code, shown = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.DOTALL).groups()
    exec(code.replace('"demo-small"', repr(str(demo_folder))), {})
    assert capsys.readouterr().out.endswith(shown)


def test_the_readme_is_short_and_names_what_is_there():
    assert len(README.splitlines()) <= 160
    for path in (ROOT / "README.md", *ROOT.glob("*/README.md"), ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path} names {link}"
    assert {path.name for path in NOTEBOOKS} <= set(re.findall(r"notebooks/(\S+ipynb)", README))


def test_every_figure_and_table_of_a_lesson_is_listed():
    text = (ROOT / "figures" / "README.md").read_text()
    for path in NOTEBOOKS:
        saved = re.findall(r'save_figure\(.*?\\"(\w+)\\"', path.read_text(), re.DOTALL)
        assert [name for name in saved if f"`{name}`" not in text] == [], path


def test_the_version_is_one():
    import statkit

    assert f"version: {statkit.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {statkit.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_commands_in_the_documentation_exist():
    """Every ``statkit`` command in Markdown is one that the command line takes."""
    commands = []
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*/README.md")]:
        text = path.read_text().replace("\\\n", " ").replace("$real", "").replace("$rows", "stat")
        for block in re.findall(r"(?ms)^```\w*\n(.*?)^```", text):
            commands += re.findall(r"(?m)(?:^|-m )statkit(?:\.cli)? (.*?)(?=  #|$)", block)
        commands += re.findall(r"`statkit ([^`]+)`", text)
    commands = [shlex.split(line) for line in commands if "..." not in line]
    assert len(commands) > 30
    for words in commands:
        _parser(words[0]).parse_args(words)


def test_architecture_names_modules_and_functions_that_exist():
    text = (ROOT / "statkit" / "README.md").read_text()
    table = text.split("| in the paper |")[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        _, modules, names = (re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:4])
        source = "".join(source_of(module) for module in modules)
        for name in names:
            assert re.split(r"[.\[]", name)[-1 if "." in name else 0] in source, line


def source_of(module):
    if module.endswith(".csv"):
        return (ROOT / "statkit" / module).with_name("paper.py").read_text()
    here = ROOT if module == "data_prep/" else ROOT / "statkit"
    return (here / module / ("__init__.py" if module.endswith("/") else "")).read_text()


def test_imports_go_downwards_only():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_few_need_is_imported_late():
    heavy = ["scipy.stats", "cv2", "matplotlib", "sklearn", "decord", "IPython"]
    code = f"import sys, statkit.experiments; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_clean(path):
    book = json.loads(path.read_text())
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert "papermill" not in book["metadata"] and "widgets" not in book["metadata"]
    assert all(cell.get("id") for cell in book["cells"])
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    tagged = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    for line in "".join(tagged[0]["source"]).splitlines():
        assert re.fullmatch(r"\w+: \w+ = .+  # .+", line), line
    for cell in [] if path.name.startswith("00") else code:  # lesson 0 is the whole method
        source = "".join(cell["source"])
        nodes = ast.parse(source)
        only_imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes.body)
        assert only_imports or len(source.splitlines()) <= 20
        assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(nodes))


def is_machinery(cell):
    """Whether a code cell is nothing but the guard, the check of parameters, imports, or the saving
    of figures."""
    lines = ast.parse("".join(cell["source"])).body
    if ast.unparse(lines[-1]) == "check_parameters(globals())" and len(lines) == 2:
        return True
    if "guard" in cell["metadata"].get("tags", []):
        return True
    if all(isinstance(line, ast.Import | ast.ImportFrom) for line in lines):
        return True
    calls = [ast.unparse(line.value) for line in lines if isinstance(line, ast.Expr)]
    plain = all(isinstance(line, ast.Assign | ast.Expr) for line in lines)
    saving = re.compile(r"(save_figure|save|\w+\.save|versions)\(")
    return bool(plain and calls and all(saving.match(call) for call in calls))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_machinery_is_folded_and_nothing_else(path):
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    folded = [c["metadata"].get("jupyter", {}).get("source_hidden", False) for c in cells]
    assert folded == [is_machinery(cell) for cell in cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_control_is_a_parameter_of_its_name(path):
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    parameters, controls = set(), set()
    for cell in cells:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if "parameters" in cell["metadata"].get("tags", []) and isinstance(node, ast.AnnAssign):
                parameters.add(node.target.id)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "explore":
                controls |= {keyword.arg for keyword in node.keywords} - {"save"}
    assert (controls or path.name.startswith("00")) and controls <= parameters
    assert parameters == set(notebook_parameters(path))  # papermill reads them by its own rules


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_figure_with_controls_is_saved_as_its_controls_stand(path):
    """Each explorer has a name of its own and saves its figure itself; nothing else draws it."""
    code = [c["source"] for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    nodes = list(ast.walk(ast.parse("\n".join("".join(source) for source in code))))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    called = [ast.unparse(node.func) for node in calls]
    shown = [call for call, name in zip(calls, called, strict=True) if name == "explore"]
    saving = [call for call in shown if "save" in [keyword.arg for keyword in call.keywords]]
    named = {
        n.targets[0].id: n.value for n in nodes if isinstance(n, ast.Assign) and n.value in saving
    }
    assert len(named) == len(saving) and (saving or path.name.startswith("00"))
    assert all(called.count(f"{name}.save") == 1 for name in named)
    assert not {ast.unparse(call.args[0]) for call in shown} & set(called)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_cell_leaves_a_bare_figure(path):
    """A kernel shows only the name of a figure that pyplot did not make; ``render`` shows it."""
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    trees = [ast.parse("".join(cell["source"])) for cell in cells]
    drawn = {
        ast.unparse(node.targets[0])
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("draw_")
    }
    shown = [ast.unparse(tree.body[-1]) for tree in trees if tree.body]
    assert not [line for line in shown if line in drawn or line.startswith("draw_")]


def test_every_notebook_has_the_same_guard_of_three_lines():
    guards = {"".join(json.loads(path.read_text())["cells"][1]["source"]) for path in NOTEBOOKS}
    assert len(NOTEBOOKS) >= 10 and len(guards) == 1
    assert len([line for line in guards.pop().splitlines() if line]) == 3


def test_the_types_of_the_method_are_checked(tmp_path):
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path)]
    done = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pre_commit_runs_the_tested_versions():
    locked = (ROOT / "constraints.txt").read_text().splitlines()
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    pinned = re.findall(r"additional_dependencies: \[(.+)\]", hooks)
    assert len(pinned) == 3 and set(pinned) <= set(locked)


def test_ruff_is_content():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(ROOT)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    words = capsys.readouterr().out
    assert all(name in words for name in ("prepare", "train", "evaluate", "tables", "figures"))


def run_script():
    loader = importlib.machinery.SourceFileLoader("run", str(ROOT / "run"))
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
    loader.exec_module(script)
    return script


def test_a_copied_environment_is_made_anew_and_one_in_place_stays(tmp_path, monkeypatch):
    script = run_script()
    monkeypatch.setattr(script, "VENV", tmp_path / "here" / ".venv")
    script.remove_if_moved()  # there is none
    venv.create(tmp_path / "here" / ".venv")
    script.remove_if_moved()
    assert script.VENV.is_dir()
    shutil.copytree(tmp_path / "here", tmp_path / "there", symlinks=True)
    monkeypatch.setattr(script, "VENV", tmp_path / "there" / ".venv")
    script.remove_if_moved()
    assert not script.VENV.exists() and (tmp_path / "here" / ".venv").is_dir()


def test_jupyter_does_not_ask_about_its_news(tmp_path):
    script, lab = run_script(), LabApp()
    place = script.LAB_DEFAULTS.relative_to(script.VENV)
    assert Path(sys.prefix) / place.parent == Path(lab.app_settings_dir)
    (tmp_path / place.name).write_text(json.dumps(script.NO_NEWS))
    [plugin] = script.NO_NEWS
    about, _ = get_settings(str(tmp_path), lab.schemas_dir, str(tmp_path), plugin)
    assert about["schema"]["properties"]["fetchNews"]["default"] == "false"


def test_the_run_script_helps_without_setting_up():
    done = subprocess.run([sys.executable, str(ROOT / "run")], capture_output=True, text=True)
    assert done.returncode == 0 and "figures" in done.stdout
    done = subprocess.run([sys.executable, str(ROOT / "run"), "nonsense"], capture_output=True)
    assert done.returncode == 2


def test_the_run_script_finds_a_lesson_by_its_number():
    run = runpy.run_path(str(ROOT / "run"))
    assert run["with_lesson"](["02", "--no-browser"])[0].endswith("02_spatial_attention.ipynb")
    assert run["with_lesson"](["--no-browser"]) == [str(NOTEBOOKS[0]), "--no-browser"]
    with pytest.raises(SystemExit, match="no lesson 77; there are"):
        run["with_lesson"](["77"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_later_cell_changes_what_a_drawing_reads(path):
    """A slider that is moved after the last cell has run calls its function with the globals of
    that moment."""
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [c for c in book["cells"] if c["cell_type"] == "code"]
    read = set()
    for cell in code:
        tree = ast.parse("".join(cell["source"]))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Lambda)]
        inside = {id(name) for function in functions for name in ast.walk(function)}
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        stored = {n.id for n in names if isinstance(n.ctx, ast.Store) and id(n) not in inside}
        assert not read & stored, f"{read & stored} in {''.join(cell['source'])}"
        for function in functions:
            of = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
            own = {argument.arg for argument in ast.walk(function.args) if hasattr(argument, "arg")}
            own |= {n.id for n in of if isinstance(n.ctx, ast.Store)}
            read |= {n.id for n in of if isinstance(n.ctx, ast.Load)} - own


def test_every_text_is_read_and_written_with_an_encoding():
    wrong = []
    files = [*(ROOT / "statkit").rglob("*.py"), *(ROOT / "data_prep").glob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", None)
            given = {"read_text": 1, "write_text": 2}.get(name)
            named = given and any(word.arg == "encoding" for word in node.keywords)
            if given and len(node.args) < given and not named:
                wrong.append(f"{file}:{node.lineno}")
    assert wrong == []
