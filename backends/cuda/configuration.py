"""A launch's shape as `cuLaunchKernelEx` takes it, and what a kernel must ask for before it is launched so."""

from __future__ import annotations

from math import prod
from typing import Any

from backends.cuda.driver import Driver
from backends.device import LaunchConfig

# Dynamic shared memory that a kernel gets without asking. Source: CUDA C++ Programming Guide, shared memory.
_UNASKED_SHARED_BYTES = 48 << 10
# The largest cluster that every GPU with clusters has. Source: the same, thread block clusters.
_PORTABLE_CLUSTER = 8


def ask_for_limits(driver: Driver, function: Any, config: LaunchConfig) -> None:
    """Raise the function's limits where the launch goes beyond what it gets unasked. Raises DriverError."""
    attributes = driver.api.CUfunction_attribute
    if config.dynamic_shared_bytes > _UNASKED_SHARED_BYTES:
        limit = attributes.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        driver.call("cuFuncSetAttribute", function, limit, config.dynamic_shared_bytes)
    if prod(config.cluster) > _PORTABLE_CLUSTER:
        allowed = attributes.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
        driver.call("cuFuncSetAttribute", function, allowed, 1)


def encoded_config(driver: Driver, config: LaunchConfig) -> Any:
    """The CUlaunchConfig, on the default stream."""
    found = driver.api.CUlaunchConfig()
    found.gridDimX, found.gridDimY, found.gridDimZ = config.grid
    found.blockDimX, found.blockDimY, found.blockDimZ = config.block
    found.sharedMemBytes = config.dynamic_shared_bytes
    attributes = _attributes(driver.api, config)
    found.attrs, found.numAttrs = attributes, len(attributes)
    return found


def _attributes(api: Any, config: LaunchConfig) -> list[Any]:
    found = []
    if config.cluster != (1, 1, 1):
        cluster = api.CUlaunchAttribute()
        cluster.id = api.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
        size = cluster.value.clusterDim
        size.x, size.y, size.z = config.cluster
        found.append(cluster)
    if config.cooperative:
        cooperative = api.CUlaunchAttribute()
        cooperative.id = api.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_COOPERATIVE
        cooperative.value.cooperative = 1
        found.append(cooperative)
    return found
