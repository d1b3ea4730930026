"""Run tasks and scripts on a device: inputs, reference, launch, comparison, outcome."""
