from __future__ import annotations

from conformity.constants import ERROR_CODE_INVALID, ERROR_CODE_MISSING, ERROR_CODE_UNKNOWN

from pysoa.common import constants


def test_every_code_is_its_own_name_without_the_prefix() -> None:
    for name in constants.__all__:
        assert f"ERROR_CODE_{getattr(constants, name)}" == name


def test_all_eleven_codes_are_there() -> None:
    assert {getattr(constants, name) for name in constants.__all__} == {
        "ACCESS_DENIED",
        "ACTION_TIMEOUT",
        "INVALID",
        "JOB_TIMEOUT",
        "MISSING",
        "NOT_AUTHORIZED",
        "NOT_FOUND",
        "RESPONSE_NOT_SERIALIZABLE",
        "RESPONSE_TOO_LARGE",
        "SERVER_ERROR",
        "UNKNOWN",
    }


def test_codes_of_validation_are_those_of_conformity() -> None:
    assert constants.ERROR_CODE_INVALID == ERROR_CODE_INVALID
    assert constants.ERROR_CODE_MISSING == ERROR_CODE_MISSING
    assert constants.ERROR_CODE_UNKNOWN == ERROR_CODE_UNKNOWN
