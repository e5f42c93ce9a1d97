"""What the tests of the contract's options share: three photographs on a server, and runs over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.program.contract import BODIES, Maker
from tests.servers import ImageServer


@pytest.fixture(scope="session")
def contract_addresses(image_server: ImageServer) -> list[str]:
    return [image_server.put(f"/contract/{n}.jpg", body) for n, body in enumerate(BODIES)]


@pytest.fixture(scope="session")
def make(contract_addresses: list[str], tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(contract_addresses, tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def usual(make: Maker) -> Path:
    """What is made when no option is given but those of the places and the number of processes."""
    return make()
