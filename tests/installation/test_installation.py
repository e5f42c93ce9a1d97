"""An installation that is not whole is said in one line before work begins, and is never a row's failure."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from img2dataset import installation
from img2dataset.errors import MissingDependency
from tests.lowest import PYPROJECT, lowest_versions
from tests.program.runs import run
from tests.servers import ImageServer

PACKAGE = Path(installation.__file__).parent
# How modules are called that are not called as their packages.
PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}
# What only some runs need, named by an extra or asked for where it is used.
OF_EXTRAS = {
    *("aiohttp", "botocore", "cryptography", "google_crc32c", "lmdb", "mlflow", "pandas", "pyspark", "ray"),
    *("safetensors", "tensorboard", "torch", "wandb"),
}


def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    imported = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module.partition(".")[0])
    others = imported - set(sys.stdlib_module_names) - OF_EXTRAS - {"img2dataset"}
    declared = {
        line.partition("==")[0].lower() for line in lowest_versions(PYPROJECT.read_text(), ["tfrecord"])
    }
    assert {PACKAGES.get(name, name) for name in others} == declared - {"google-crc32c"}


def test_every_dependency_has_a_lower_bound() -> None:
    with pytest.raises(ValueError, match="numpy has no lower bound"):
        lowest_versions('dependencies = [\n"numpy",\n]\ntfrecord = []\n', ["tfrecord"])


def test_every_name_of_pycurl_is_looked_for_before_work_begins() -> None:
    used, guarded = set(), {"SIZE_DOWNLOAD", "SSL_EC_CURVES"}
    for _, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "pycurl"
            ):
                used.add(node.attr)
    assert set(installation._NAMES["pycurl"]) == used - guarded


def test_all_that_is_used_is_installed_here() -> None:
    installation.check_installed(
        "pycurl", "pycares", "certifi", "idna", "isal", "numpy", "cv2", "PIL", "exifread"
    )


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (
            "raise ImportError('compiled for\\nanother libcurl')",
            "cannot be loaded: compiled for another libcurl",
        ),
        ("import nowhere_to_be_found", "cannot be loaded: No module named 'nowhere_to_be_found'"),
        ("version = 'PycURL/7.1'", "has no ACCEPT_ENCODING, BUFFERSIZE, CAINFO"),
    ],
)
def test_a_broken_package_is_one_line_with_the_way_out(
    code: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pycurl.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pycurl", raising=False)
    with pytest.raises(MissingDependency) as refusal:
        installation.check_installed("pycurl")
    message = str(refusal.value)
    assert part in message
    assert re.search(r"pip install .* 'pycurl>=[\d.]+'", message)
    assert "\n" not in message


@pytest.mark.parametrize("module", ["pycurl", "pycares", "cv2", "exifread", "idna"])
def test_a_package_that_cannot_be_loaded_fails_the_run_and_no_row(
    module: str, image_server: ImageServer, tmp_path: Path
) -> None:
    path = f"/broken-{module}.jpg"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{module}.py").write_text("raise ImportError('it does not fit this machine')")
    (tmp_path / "list.txt").write_text(image_server.put(path, b"never asked for") + "\n")
    result = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        processes_count=1,
        environment={"PYTHONPATH": str(tmp_path / "broken")},
    )
    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert "cannot be loaded: it does not fit this machine" in said
    assert "Traceback" not in said
    assert image_server.count(path) == 0
    assert not list((tmp_path / "out").glob("*_stats.json"))
