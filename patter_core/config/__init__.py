"""What users set: in code, by variables of the environment, and by `.env` files; with errors that name the place."""

from __future__ import annotations

from patter_core.config.dotenv import read_dotenv, variables_of_dotenv
from patter_core.config.environment import (
    Setting,
    base_url,
    checked_key,
    flag_from_environment,
    from_environment,
    misspelt,
    names_from_environment,
    port_number,
    secrets_of,
    workers_folder,
)
from patter_core.config.forms import KEY_OF_ANOTHER_SERVICE, LANGUAGE, Form, Language, check_form, check_no_other_kind
from patter_core.config.made_up import check_length, check_workers_secret, environment_of_workers, made_up_secret
from patter_core.config.numbers import check_ranges
from patter_core.config.options import Configured, ConfiguredStruct, check_names, unknown_option
from patter_core.config.suggest import did_you_mean, quoted, ways_to_set, with_capability, without_brackets
from patter_core.config.types import check_arguments, check_fields, kind_of
from patter_core.config.variables import unknown_variables
from patter_core.config.workers import MOST_WORKERS, names_worker, of_all_workers, of_worker, worker_number

__all__ = [
    "KEY_OF_ANOTHER_SERVICE",
    "LANGUAGE",
    "MOST_WORKERS",
    "Configured",
    "ConfiguredStruct",
    "Form",
    "Language",
    "Setting",
    "base_url",
    "check_arguments",
    "check_fields",
    "check_form",
    "check_length",
    "check_names",
    "check_no_other_kind",
    "check_ranges",
    "check_workers_secret",
    "checked_key",
    "did_you_mean",
    "environment_of_workers",
    "flag_from_environment",
    "from_environment",
    "kind_of",
    "made_up_secret",
    "misspelt",
    "names_from_environment",
    "names_worker",
    "of_all_workers",
    "of_worker",
    "port_number",
    "quoted",
    "read_dotenv",
    "secrets_of",
    "unknown_option",
    "unknown_variables",
    "variables_of_dotenv",
    "ways_to_set",
    "with_capability",
    "without_brackets",
    "worker_number",
    "workers_folder",
]
