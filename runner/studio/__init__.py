"""The embedded provider's door: a studio, what it is told, what it can break on purpose, and what it was asked for."""

from runner.studio.faults import Faults
from runner.studio.server import Studio, create_app, serve_forever
from runner.studio.settings import Settings
from runner.studio.store import Bill, read_bills

__all__ = ["Bill", "Faults", "Settings", "Studio", "create_app", "read_bills", "serve_forever"]
