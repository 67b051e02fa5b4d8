"""SLOW_TESTS=1 in the environment in; every case of the tests with several processes out, instead of a few of each."""

from __future__ import annotations

import os

import pytest

SLOW = os.environ.get("SLOW_TESTS") == "1"
slow = pytest.mark.skipif(not SLOW, reason="long; set SLOW_TESTS=1 (make test-slow)")
