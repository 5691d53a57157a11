"""The carriers that the benchmark knows, by name."""

from __future__ import annotations

from tests.bench.plivo_side import PlivoVendor
from tests.bench.telnyx_side import TelnyxVendor
from tests.bench.twilio_side import TwilioVendor
from tests.bench.vendor import Vendor
from tests.bench.vonage_side import VonageVendor

__all__ = ["VENDORS"]

VENDORS: dict[str, type[Vendor]] = {
    vendor.name: vendor for vendor in (TwilioVendor, TelnyxVendor, VonageVendor, PlivoVendor)
}
