"""A GPU where there is one; what needs it is skipped elsewhere, with the reason."""

from __future__ import annotations

import pytest

from backends.cuda.device import CudaDevice
from backends.cuda.driver import Driver, open_driver
from ir.diagnostics import UserError


@pytest.fixture
def driver() -> Driver:
    try:
        return open_driver()
    except UserError as error:
        pytest.skip(f"needs a GPU: {error.diagnostics[0].message}")


@pytest.fixture
def gpu(driver: Driver) -> CudaDevice:
    return CudaDevice(20.0)
