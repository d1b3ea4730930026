"""Import a user's Python file or module: his errors become diagnostics with his place, his output goes to stderr."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sized
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ir.diagnostics import Location, UserError, fail

# Compute capability that a file sees which asks for one when it is imported.
_PRETENDED_CAPABILITY = 90


def import_file(path: Path) -> ModuleType:
    """Import a file as if it were run (but not as `__main__`), its folder on the search path.

    A file of a package is imported as part of it. Raises UserError: missing-file, user-code-error (whatever it raises).
    """
    path = path.resolve()
    if not path.is_file():
        raise fail("missing-file", f"there is no file {path}", remedy=_similar_file(path))
    root, parts = path.parent, [path.stem] if path.stem != "__init__" else []
    while (root / "__init__.py").is_file():
        root, parts = root.parent, [root.name, *parts]
    if root != path.parent:
        return import_module(".".join(parts), root)
    with search_path(root):
        spec = importlib.util.spec_from_file_location(f"twill_source_{path.stem}", path)
        assert spec is not None, "a Python file has a loader"
        return _executed(spec)


def import_module(name: str, root: Path | None = None) -> ModuleType:
    """Import a module by its dotted name, `root` or the working folder on the search path; raises UserError."""
    if name in sys.modules:
        return sys.modules[name]
    package = name.rpartition(".")[0]
    if package:
        import_module(package, root)
    with search_path(root or Path.cwd()):
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            remedy = "write file.py:kernel, or package.module:kernel with the package installed or in this folder"
            raise fail("unknown-module", f"there is no module `{name}`", remedy=remedy)
        return _executed(spec) if spec.origin else importlib.import_module(name)


def _executed(spec: ModuleSpec) -> ModuleType:
    """The module as far as its code runs."""
    assert spec.loader is not None and spec.origin is not None, "the spec is of a file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        with _harmless(Path(spec.origin)):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[spec.name]
        raise
    return module


@contextlib.contextmanager
def _harmless(path: Path) -> Iterator[None]:
    """Import within: launches are dropped, and a GPU that is not there is pretended."""
    from backends.compilers.pretended_gpu import pretended_gpu

    launches: list[str] = []
    with_torch = path.is_file() and b"torch" in path.read_bytes()
    with (
        pretended_gpu(_PRETENDED_CAPABILITY, lambda kernel, *_launch: launches.append(str(kernel)), with_torch),
        user_code(path, launches),
    ):
        yield


@contextlib.contextmanager
def user_code(path: Path, launches: Sized = ()) -> Iterator[None]:
    """Run a user's code: stdout goes to stderr, and what it raises becomes a UserError at its line in `path`.

    After a launch an error is only told on stderr: since no kernel has computed anything, the code may well fail.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (UserError, KeyboardInterrupt):
        raise
    except SystemExit as error:
        if error.code and not launches:
            raise _user_error(error, path) from error
    except SyntaxError as error:
        place = Location(error.filename or str(path), error.lineno or 0, error.offset or 0)
        raise fail("user-code-error", f"invalid syntax: {error.msg}", place) from None
    except BaseException as error:  # a user's file may raise anything
        told = _user_error(error, path)
        if not launches:
            raise told from error
        print(f"ended early, after a launch that computed nothing: {told}", file=sys.stderr)


def _user_error(error: BaseException, path: Path) -> UserError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename) == path]
    frame = (own or list(frames))[-1]
    place = Location(frame.filename, frame.lineno or 0, (frame.colno or 0) + 1 if frame.colno is not None else 0)
    what = f"the file calls exit({error.code})" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
    return fail("user-code-error", f"the file is run, and it fails: {what}", place, _remedy(error))


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install `{error.name}`, or run in the environment where the file runs"
    return "put what should not run on import under `if __name__ == '__main__':`"


@contextlib.contextmanager
def search_path(folder: Path) -> Iterator[None]:
    """A folder comes first on the search path of imports."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _similar_file(path: Path) -> str:
    import difflib

    names = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, 1)
    return f"did you mean {path.parent / near[0]}?" if near else ""
