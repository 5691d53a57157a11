"""The table of carriers is that of the installed classes."""

from __future__ import annotations

from pathlib import Path

from docs.carrier_table import carrier_table, installed_carriers, write_page
from patter_core.telephony.control import Capability
from patter_core.testing.fakes import FakeCarrier

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "carriers.md"


def test_the_stored_table_is_todays() -> None:
    table = carrier_table(installed_carriers())
    assert table in PAGE.read_text(encoding="utf-8"), "run `python docs/carrier_table.py docs/reference`"


def test_it_has_every_carrier_of_this_repository() -> None:
    names = {carrier.name for carrier in installed_carriers()}
    assert {"plivo", "telnyx", "twilio", "vonage"} <= names
    assert names <= {path.name.removeprefix("patter-") for path in (PAGE.parents[2] / "plugins").iterdir()}


def test_each_capability_has_a_row_with_what_it_is_and_who_has_it() -> None:
    rows = [line.split(" | ") for line in carrier_table([FakeCarrier]).splitlines()[2:]]
    assert [row[0].strip("| `") for row in rows] == [capability.name for capability in Capability]
    assert all(len(row[1]) > 10 for row in rows)
    assert {row[0].strip("| `") for row in rows if row[2].strip("| ") == "no"} == {"SEND_DTMF"}


def test_writing_the_page_keeps_the_text_around_the_table(tmp_path: Path) -> None:
    stored = PAGE.read_text(encoding="utf-8")
    before, _, after = stored.partition("| capability |")
    page = tmp_path / PAGE.name
    page.write_text(
        before + "| capability | old |\n\n<!-- end -->" + after.partition("<!-- end -->")[2], encoding="utf-8"
    )
    write_page(tmp_path)
    assert page.read_text(encoding="utf-8") == stored
