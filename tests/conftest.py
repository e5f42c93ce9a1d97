"""The shared servers as fixtures; ``tests/servers/__init__.py`` says how to use them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.installed_packages import Install, forget_packages, installer
from tests.servers import ImageServer, Nginx, TestAuthority, find_nginx

with contextlib.suppress(ImportError):  # some environments run a few tests, without it
    from hypothesis import HealthCheck, settings

    # An example that takes long tells of a busy machine; and what is tried is the same in each run, so that
    # one that fails fails again. ``--hypothesis-profile=default`` tries others, as ``make fuzz`` does.
    settings.register_profile(
        "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("tests")


def pytest_configure() -> None:
    """Let the programs that tests start be interrupted.

    Tests that are started in the background of a shell, or by nohup, have inherited to ignore these signals.
    And have those programs compiled once, though they be started without make: each start took seconds.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are known by the name of their argument: gzip's have the time in them, and differ each time."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    """Signs certificates; ``certificates.authority_file`` is the file a client must trust."""
    return TestAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def image_server() -> Iterator[ImageServer]:
    """http on 127.0.0.1 to 127.0.0.16."""
    with ImageServer() as server:
        yield server


@pytest.fixture(scope="session")
def https_server(certificates: TestAuthority) -> Iterator[ImageServer]:
    """https on 127.0.0.1 to 127.0.0.16, with a certificate of ``certificates``."""
    with ImageServer(certificates.certificate()) as server:
        yield server


@pytest.fixture(scope="session")
def nginx(certificates: TestAuthority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx over an empty folder, ``nginx.folder``; skips when nginx is not installed."""
    if find_nginx() is None:
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    home = tmp_path_factory.mktemp("nginx")
    server = Nginx(home, home / "files", certificates.certificate())
    yield server
    server.close()


@pytest.fixture
def s3_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has ``s3://`` without options mean the server at an address, for one test.

    fsspec keeps what it has connected once by its options alone: another test's server would be asked.
    """
    s3fs = pytest.importorskip("s3fs")

    def use(address: str) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        s3fs.S3FileSystem.clear_instance_cache()

    yield use
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package (name, source, lines of entry_points.txt) for one test."""
    yield from installer(tmp_path / "installed", monkeypatch)


@pytest.fixture(scope="session")
def installed_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of ``examples/plugin`` in it, installed by pip."""
    work = tmp_path_factory.mktemp("example")
    source = Path(__file__).resolve().parents[1] / "examples" / "plugin"
    shutil.copytree(source, work / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(work / "installed")]
    subprocess.run([*pip, str(work / "source")], check=True)
    return work / "installed"


@pytest.fixture
def example_package(installed_example: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Has the package of ``examples/plugin`` found by this process and those that it starts."""
    monkeypatch.syspath_prepend(str(installed_example))
    monkeypatch.setenv("PYTHONPATH", str(installed_example), prepend=os.pathsep)
    forget_packages()
    yield installed_example
    forget_packages()
