"""A message stays in the outbox until it is delivered, by this process or by another."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from patter_core.errors import SinkUnavailable
from patter_webhook.outbox import LEASE, Message, Outbox

ONE, TWO = Message("1", b"one"), Message("2", b"two")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "deep" / "outbox.db", 3)
    yield box
    box.close()


def test_messages_come_out_in_order_and_are_gone_when_delivered(outbox: Outbox) -> None:
    outbox.add([ONE, TWO], 10)
    assert outbox.take(9, 8) == []
    assert outbox.take(10, 1) == [ONE]
    assert outbox.take(10, 8) == [TWO]
    outbox.delivered(ONE)
    outbox.delivered(TWO)
    assert outbox.next_due() is None


def test_a_message_that_is_added_twice_is_stored_once(outbox: Outbox) -> None:
    outbox.add([ONE], 10)
    outbox.add([ONE, TWO], 20)
    assert outbox.take(20, 8) == [ONE, TWO]


def test_the_messages_of_a_process_that_dies_go_to_another_after_the_lease(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add([ONE], 10)
    assert outbox.take(10, 8) == [ONE]
    other = Outbox(tmp_path / "deep" / "outbox.db", 3)
    assert other.take(10 + LEASE - 1, 8) == []
    assert other.take(10 + LEASE, 8) == [ONE]
    other.close()


def test_a_failed_message_is_due_again_or_kept_as_undeliverable(outbox: Outbox) -> None:
    outbox.add([ONE], 10)
    outbox.failed(ONE, 99)
    assert outbox.next_due() == 99
    (again,) = outbox.take(99, 8)
    assert again.attempts == 1
    assert outbox.held() == 1
    outbox.failed(again, None)
    assert (outbox.next_due(), outbox.undeliverable(), outbox.held()) == (None, 1, 0)


def test_what_was_not_tried_is_held_only_where_it_is_asked_for(outbox: Outbox) -> None:
    outbox.add([ONE, TWO], 10)
    outbox.failed(ONE, 99)
    assert (outbox.held(), outbox.held(untried=True)) == (1, 2)


def test_a_full_outbox_raises_and_adds_nothing(outbox: Outbox) -> None:
    outbox.add([Message(str(index), b"") for index in range(3)], 10)
    with pytest.raises(SinkUnavailable, match="full"):
        outbox.add([Message("9", b"")], 10)


def test_undeliverable_messages_give_way_to_new_ones(outbox: Outbox) -> None:
    outbox.add([Message(str(index), b"") for index in range(3)], 10)
    for message in outbox.take(10, 2):
        outbox.failed(message, None)
    outbox.add([Message("9", b"")], 10)
    assert outbox.undeliverable() == 1
    assert [message.id for message in outbox.take(10, 8)] == ["2", "9"]


def test_only_its_owner_can_read_the_file(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add([ONE], 10)
    assert stat.S_IMODE((tmp_path / "deep" / "outbox.db").stat().st_mode) == 0o600
