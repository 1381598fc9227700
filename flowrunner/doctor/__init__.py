"""Check an installation: what is wrong with it or soon will be, and what to do."""

from flowrunner.doctor.checks import examine, serious
from flowrunner.doctor.finding import CODES, Diagnosis
from flowrunner.doctor.installation import Installation

__all__ = ["CODES", "Diagnosis", "Installation", "examine", "serious"]
