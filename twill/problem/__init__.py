"""The scheduling problem: its statement, its checks before a solve and its verifier after one."""
