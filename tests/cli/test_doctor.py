"""`patter doctor`: each thing that can be missing is found, and what to do is said."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette

from patter_core import Patter, Registry
from patter_core.checks import CheckResult, Level
from patter_core.cli.doctor import doctor
from patter_core.cli.environment_checks import check_clock
from patter_core.server.serving import serve_app
from patter_core.testing.fakes import FakeCarrier
from patter_elevenlabs import ElevenLabsConvAI
from patter_elevenlabs.testing import Behaviour, ElevenLabsEmulator
from patter_twilio import Twilio
from patter_twilio.testing import ACCOUNT_SID, TwilioEmulator

pytestmark = pytest.mark.anyio

ENVIRONMENT = {
    "PATTER_CARRIER": "twilio",
    "PATTER_ENGINE": "elevenlabs",
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": "auth-token-of-the-test",
    "ELEVENLABS_API_KEY": "key-of-the-test",
    "ELEVENLABS_AGENT_ID": "agent_test",
}


@pytest.fixture(autouse=True)
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)

    async def nothing(_self: object, *_arguments: object) -> Sequence[CheckResult]:
        return ()

    monkeypatch.setattr(Twilio, "check", nothing)  # what a plugin asks its vendor is the plugin's own test
    monkeypatch.setattr(ElevenLabsConvAI, "check", nothing)


async def run_doctor(*arguments: str) -> Result:
    return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(doctor, arguments, obj=Registry.discover()))


async def test_what_is_in_order_is_told_without_secrets() -> None:
    result = await run_doctor()
    assert result.exit_code == 0, result.output
    assert "Ready for calls." in result.output
    assert "A webhook without the carrier's signature is refused." in result.output
    assert "ulaw_8000" in result.output
    assert "of-the-test" not in result.output
    assert "for outgoing calls set PATTER_WEBHOOK_URL, or webhook_url in patter.toml." in result.output


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_carrier_with_a_page_of_its_own_has_no_webhook_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_CARRIER", "browser")
    result = await run_doctor()
    assert result.exit_code == 0, result.output
    assert "nothing of it is at the public address" in result.output.replace("\n  ", " ")


async def test_sinks_that_cannot_write_are_problems_with_a_remedy_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sinks = ("jsonl", "path"), ("sqlite", "path"), ("wav", "folder")
    (tmp_path / "patter.toml").write_text(
        "".join(f'[[sinks]]\nname = "{sink}"\noptions = {{ {option} = "file/{sink}" }}\n' for sink, option in sinks)
    )
    result = await run_doctor()
    assert result.exit_code == 1
    assert result.output.count("cannot be written: file is not a folder.\n  Choose another path.") == 3
    assert "3 problems." in result.output
    assert names(tmp_path) == ["file", "patter.toml"]


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), ValueError("a bug")])
async def test_whatever_comes_out_of_a_check_the_other_results_still_count(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: object, *_arguments: object) -> Sequence[CheckResult]:
        raise error

    monkeypatch.setattr(Twilio, "check", broken)
    result = await run_doctor()
    assert result.exit_code == 2
    assert "? twilio failed in its own checks" in result.output
    assert "No problem was found, but 1 thing could not be checked." in result.output
    assert "Ready" not in result.output


async def test_too_few_descriptors_are_a_warning_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "At least 500 calls at once fit into" in (await run_doctor()).output
    monkeypatch.setattr("patter_core.cli.environment_checks.raise_limit", lambda: 256)
    result = await run_doctor()
    assert result.exit_code == 0
    assert "Only 80 calls at once fit into 256 file descriptors. Limits.calls is 500." in result.output
    assert "ulimit -n" in result.output


async def test_what_stands_in_brackets_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATTER_CARRIER")
    monkeypatch.delenv("TWILIO_ACCOUNT_SID")
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    assert "[carrier] name in patter.toml" in (await run_doctor()).output


async def test_without_credentials_the_variables_are_told_and_where_their_values_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("PATTER_CARRIER", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.delenv(variable)
    lines = (await run_doctor()).output.splitlines()
    (twilio,) = [line for line in lines if line.startswith("  twilio: ")]
    assert twilio.startswith(
        "  twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are missing. You find the first on the "
    )


@pytest.mark.parametrize("variable", ["TWILIO_AUTH_TOKEN", "ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID"])
async def test_a_key_that_is_missing_is_a_problem_with_a_remedy(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(variable)
    result = await run_doctor()
    assert result.exit_code == 1
    assert "1 problem." in result.output
    assert variable in result.output
    assert "You find it" in result.output


async def test_a_plugin_contributes_what_it_knows_and_its_failure_is_no_failure_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def expired(_self: object, *_arguments: object) -> Sequence[CheckResult]:
        return (CheckResult(Level.PROBLEM, "The key has expired.", "Make a new one."),)

    async def broken(_self: object, *_arguments: object) -> Sequence[CheckResult]:
        raise KeyError("key-of-the-test")

    monkeypatch.setattr(Twilio, "check", expired)
    monkeypatch.setattr(ElevenLabsConvAI, "check", broken)
    result = await run_doctor()
    assert result.exit_code == 1
    assert "✗ The key has expired.\n  Make a new one." in result.output
    assert "elevenlabs failed in its own checks: KeyError." in result.output
    assert "key-of-the-test" not in result.output


async def test_a_sink_and_a_store_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_STORE", "redis")
    monkeypatch.setenv("PATTER_SINKS", "redis")
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://:password-of-the-test@127.0.0.1:1/0")
    output = (await run_doctor()).output.replace("\n  ", " ")
    for kind in ("Sink", "Store"):
        assert re.search(
            rf"✗ {kind} redis: Redis at 127\.0\.0\.1:1/0 .+\. .*Check that it runs, .*PATTER_REDIS_URL",
            output,
        )
    assert "of-the-test" not in output


async def test_a_store_that_is_named_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "store" not in (await run_doctor()).output
    monkeypatch.setenv("PATTER_STORE", "redis")
    result = await run_doctor()
    assert result.exit_code == 1
    assert "✗ The store: RedisCallStore(url=…) is missing." in result.output
    monkeypatch.setenv("PATTER_REDIS_URL", "redis://:password-of-the-test@127.0.0.1:1/0")
    result = await run_doctor()
    assert result.exit_code == 1
    assert "✓ The store: configuration complete." in result.output
    assert "✗ Store redis: Redis " in result.output  # it is refused, or on a busy machine does not answer in time
    assert "of-the-test" not in result.output


async def test_the_public_address_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_app(Patter(carrier=FakeCarrier(), registry=Registry()).asgi()) as url:
        monkeypatch.setenv("PATTER_WEBHOOK_URL", url)
        result = await run_doctor()
    assert "The public address leads to Patter." in result.output
    assert "The clock agrees" in result.output
    assert "is not https" in result.output


async def test_a_public_address_that_leads_elsewhere_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_app(Starlette()) as url:
        monkeypatch.setenv("PATTER_WEBHOOK_URL", url)
        result = await run_doctor()
    assert result.exit_code == 1
    assert "Something other than Patter answers at the public address (status 404)." in result.output


async def test_a_public_address_that_does_not_answer_leaves_it_open_whether_calls_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATTER_WEBHOOK_URL", "http://127.0.0.1:1")
    result = await run_doctor()
    assert result.exit_code == 2
    assert "? The public address does not answer from here" in result.output


@pytest.mark.parametrize(
    ("off", "level", "said"),
    [
        (-90, Level.PROBLEM, "The clock is 90 s ahead of"),
        (90, Level.PROBLEM, "The clock is 90 s behind"),
        (3, Level.OK, "The clock agrees"),
    ],
)
def test_a_clock_is_compared_with_what_the_public_address_tells(off: int, level: Level, said: str) -> None:
    result = check_clock(formatdate(1_800_000_000 + off, usegmt=True), 1_800_000_000.5)
    assert result.level is level
    assert result.what.startswith(said)


def test_a_public_address_that_tells_no_time_is_a_warning() -> None:
    assert check_clock("", 0.0).level is Level.WARNING


@pytest.mark.parametrize("own", ["exits", "awaits"])
async def test_a_plugin_whose_own_checks_end_themselves_is_told(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def exits(_self: object, *_arguments: object) -> Sequence[CheckResult]:
        raise SystemExit(7)

    async def awaits(_self: object, *_arguments: object) -> Sequence[CheckResult]:
        task = asyncio.create_task(anyio.sleep(60))
        task.cancel()
        await task
        return ()

    monkeypatch.setattr(Twilio, "check", {"exits": exits, "awaits": awaits}[own])
    result = await run_doctor()
    assert "? twilio failed in its own checks: ForeignFault." in result.output
    assert "Ready" not in result.output


async def test_a_carrier_that_cannot_be_made_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: object) -> None:
        raise KeyError("of the plugin")

    monkeypatch.setattr(Twilio, "__post_init__", fail)
    result = await run_doctor()
    assert "The carrier cannot be made: KeyError." in result.output
    assert result.exit_code == 1


async def test_plugins_that_are_not_joined_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_DISABLE", "twilio")
    result = await run_doctor()
    assert "! The plugin twilio of patter-twilio is not joined" in result.output
    assert result.exit_code == 1


PROGRAM = """
from patter_core import Patter
from patter_core.checks import CheckResult, Level
from patter_core.testing.fakes import FakeCarrier, FakeEngine
from patter_pipeline.testing.fakes import FakeLlm, FakeStt, FakeTts

class Stt(FakeStt):
    async def check(self):
        return [CheckResult(Level.OK, "The key of the recognition is accepted.")]

class Llm(FakeLlm):
    async def check(self):
        return [CheckResult(Level.PROBLEM, "The model does not exist.", "Choose another one.")]

class Tts(FakeTts):
    async def check(self):
        raise SystemExit

parts = {"stt": Stt("ws://127.0.0.1:9"), "llm": Llm("ws://127.0.0.1:9"), "tts": FakeTts("ws://127.0.0.1:9")}
phone = Patter(carrier=FakeCarrier())
phone.agent(**parts)

broken = Patter(carrier=FakeCarrier())
broken.agent(**{**parts, "tts": Tts("ws://127.0.0.1:9")})
"""


@pytest.mark.parametrize(
    ("phone", "told", "code"),
    [
        ("phone", ["The key of the recognition is accepted.", "The model does not exist.", "Choose another one."], 1),
        ("broken", ["pipeline failed in its own checks: "], 2),
    ],
)
async def test_the_parts_of_an_agent_are_checked(phone: str, told: list[str], code: int, tmp_path: Path) -> None:
    (tmp_path / f"parts_of_doctor_{phone}.py").write_text(PROGRAM)
    result = await run_doctor(f"parts_of_doctor_{phone}:{phone}")
    for text in told:
        assert result.output.count(text) == 1, result.output
    assert result.exit_code == code


async def test_what_agents_need_of_their_vendor_is_asked_with_their_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "patter.toml").write_text('[agent]\nsystem_prompt = "You are kind."')
    async with TwilioEmulator() as twilio, ElevenLabsEmulator(Behaviour(allowed_overrides=frozenset())) as eleven:
        monkeypatch.setenv("TWILIO_ACCOUNT_SID", twilio.account_sid)
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", twilio.auth_token)
        monkeypatch.setenv("TWILIO_BASE_URL", twilio.base_url)
        monkeypatch.setenv("ELEVENLABS_API_KEY", eleven.api_key)
        monkeypatch.setenv("ELEVENLABS_AGENT_ID", eleven.agent_id)
        monkeypatch.setenv("ELEVENLABS_BASE_URL", eleven.base_url)
        result = await run_doctor()
    assert "! Agent agent: The caller will hear the system_prompt" in result.output
    assert "✗ The agent does not allow agent.first_message to be overridden." in result.output
    assert "✗ The account has no phone number." in result.output
    assert "2 problems." in result.output
    assert result.exit_code == 1


APP = """
from patter_core import Patter, Registry
from patter_core.testing.fakes import FakeCarrier, FakeEngine

class Narrow(FakeEngine):
    async def check(self, setup=None):
        from patter_core.checks import CheckResult, Level
        return [CheckResult(Level.PROBLEM, f"No such voice: {setup.voice}.")] if setup.voice else []

phone = Patter(carrier=FakeCarrier(), registry=Registry())
one = phone.agent(engine=Narrow(), name="one")
two = phone.agent(engine=Narrow(), name="two", voice="basso")
phone.route({"+15550001234": one, "+15550001235": two})
"""


async def test_the_phone_of_a_program_is_checked_with_all_of_its_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app_of_doctor.py").write_text(APP)
    monkeypatch.setenv("PATTER_REDACT_TRANSCRIPTS", "1")
    result = await run_doctor("app_of_doctor:phone")
    assert "✗ Agent two: No such voice: basso." in result.output
    assert "1 problem." in result.output
    assert "for outgoing calls set webhook_url= of Patter(…) in the program." in result.output
    assert "! PATTER_REDACT_TRANSCRIPTS is set, but the phone of a program has its own settings" in result.output
    missing = await run_doctor("app_of_doctor:telephone")
    assert missing.exit_code == 1
    assert "✗ The phone: “app_of_doctor” has no “telephone”." in missing.output
    assert "Did you mean" in missing.output


async def test_a_program_that_cannot_be_imported_is_a_problem_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "broken_of_doctor.py").write_text("raise KeyError('SHOP_URL')")
    result = await run_doctor("broken_of_doctor:phone")
    assert re.search(r"✗ The phone: \S*broken_of_doctor.py, line 1: KeyError: 'SHOP_URL'\.", result.output)
    assert "PATTER_TRACEBACK=1 prints the traceback." in result.output


async def test_a_program_that_ends_itself_is_a_problem_and_the_rest_is_checked(tmp_path: Path) -> None:
    (tmp_path / "ended_of_doctor.py").write_text("raise SystemExit(0)")
    result = await run_doctor("ended_of_doctor:phone")
    assert result.exit_code == 1
    assert re.search(r"✗ The phone: The program ended itself while it was loaded, with exit code 0: ", result.output)
    assert "1 problem." in result.output


@pytest.mark.filterwarnings("error")
async def test_a_program_that_serves_when_it_is_imported_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "serving_of_doctor.py").write_text(f"import asyncio\n{APP}asyncio.run(phone.serve(one))\n")
    result = await run_doctor("serving_of_doctor:phone")
    assert "✗ The phone: “serving_of_doctor” serves its phone when it is imported." in result.output
    assert 'below: if __name__ == "__main__":' in result.output


async def test_a_program_that_has_uvicorn_serve_it_when_it_is_imported_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(f"import uvicorn\n{APP}uvicorn.run(phone.asgi(), port=0)\n")
    command = [sys.executable, "-c", "from patter_core.cli import main; main()", "doctor", "app:phone"]
    with anyio.fail_after(60):
        done = await anyio.run_process(command, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "✗ The phone: “app” serves its phone when it is imported." in done.stdout.decode()
    assert 'below: if __name__ == "__main__":' in done.stdout.decode()


async def test_a_program_that_is_loaded_for_long_is_told_meanwhile(
    tmp_path: Path, slow_program: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "slow_of_doctor.py").write_text(f"{slow_program}{APP}")
    await run_doctor("slow_of_doctor:phone")
    assert re.search(r"still being loaded after 5 s: it is at \S*slow_of_doctor\.py, line [2-7]\.", caplog.text)


async def test_the_traceback_of_a_program_is_printed_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shown_of_doctor.py").write_text("raise KeyError('SHOP_URL')")
    monkeypatch.setenv("PATTER_TRACEBACK", "1")
    result = await run_doctor("shown_of_doctor:phone")
    assert "Traceback" in result.output
    assert "✗ The phone: " in result.output


async def test_another_projects_distribution_in_the_environment_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "another project" not in (await run_doctor()).output
    (Path.cwd() / "getpatter-0.7.0.dist-info").mkdir()
    (Path.cwd() / "getpatter-0.7.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: getpatter\nVersion: 0.7.0\n"
    )
    monkeypatch.syspath_prepend(str(Path.cwd()))
    result = await run_doctor()
    assert "✗ getpatter 0.7.0 is installed, which is another project" in result.output
    assert result.exit_code == 1
