"""A machine, a folder, an account → what is well with each and what is not, found out without a paid request."""

from runner.doctor.account import account
from runner.doctor.checks import Check
from runner.doctor.disk import disk, manifest
from runner.doctor.machine import machine

__all__ = ["Check", "account", "disk", "machine", "manifest"]
