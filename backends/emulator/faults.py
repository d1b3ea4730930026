"""The exception that stops a launch; the device turns it into a result."""

from __future__ import annotations

from backends.findings import Finding


class LaunchFault(Exception):  # noqa: N818 - what a kernel did, not an error of the program
    """The launch cannot go on; `finding` says why. The device stays usable."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding
