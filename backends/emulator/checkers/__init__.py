"""Checkers of the emulated device: observers that find races, bad synchronisation and uninitialised reads."""
