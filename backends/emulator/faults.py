"""The exception that stops a launch; the device turns it into a result."""

from __future__ import annotations

from backends.findings import Finding


class LaunchFault(Exception):
    """The launch cannot go on; `finding` says why. The device stays usable."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding
