# SPDX-License-Identifier: MIT
"""Lines that no process of the service may write into its log."""

REPORTS = ("Sanitizer", "runtime error:", "Assertion", "still open")


def reports_in(text):
    """The lines of a log that a sanitizer, an assertion or an unclosed handle wrote."""
    return [line for line in text.splitlines() if any(report in line for report in REPORTS)]
