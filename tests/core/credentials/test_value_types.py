"""What each kind of value may be."""

import pytest

from core.credentials.value_types import LONGEST_VALUE, VALUE_TYPES, fault_in

BITLOCKER = "-".join(f"{number * 11:06d}" for number in (0, 1, 99, 12345, 54321, 40000, 60000, 65535))

GOOD = [
    ("plain_text", "anything\nat all 🐟"),
    ("license_key", "XXXX-1234-ABCD-9Z9Z"), ("license_key", "ABCDE FGHIJ 12345"), ("license_key", "AbC123+/=="),
    ("ip_address", "192.0.2.1"), ("ip_address", "2001:db8::1"), ("ip_address", "::"), ("ip_address", "::ffff:192.0.2.1"),
    ("generic_secret", "-----BEGIN KEY-----\nMIIB\n-----END KEY-----\n"),
    ("bitlocker_key", BITLOCKER),
    ("password", "päss wörd 🐟"),
]
BAD = [
    ("license_key", "abc"), ("license_key", "----"), ("license_key", "two  blanks-x"), ("license_key", "line\nbreak"),
    ("license_key", "ключ-1234"),
    ("license_key", " lead-1234"), ("license_key", "x" * 2001),
    ("ip_address", "192.0.2.256"), ("ip_address", "192.0.2"), ("ip_address", "192.0.2.1/24"), ("ip_address", "192.0.2.1:80"),
    ("ip_address", "example.com"), ("ip_address", "fe80::1%eth0"), ("ip_address", "010.1.1.1"), ("ip_address", "2001:db8::1::2"),
    ("ip_address", "١٩٢.0.2.1"),
    ("generic_secret", " \n "),
    ("bitlocker_key", BITLOCKER[:-7]), ("bitlocker_key", BITLOCKER + "-000011"), ("bitlocker_key", BITLOCKER.replace("-", " ")),
    ("bitlocker_key", BITLOCKER[:-1] + "6"), ("bitlocker_key", "720896" + BITLOCKER[6:]), ("bitlocker_key", "٠٠٠٠٠٠" + BITLOCKER[6:]),
    ("bitlocker_key", BITLOCKER + "\n"),
    ("password", "two\nlines"), ("password", "x" * 4097),
    *((kind, "x" * (LONGEST_VALUE + 1)) for kind in VALUE_TYPES),
]


@pytest.mark.parametrize(("kind", "text"), GOOD)
def test_what_is_of_its_kind_is_taken(kind, text):
    assert fault_in(kind, text) == ""


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_what_is_not_is_refused_by_a_sentence_that_does_not_repeat_it(kind, text):
    fault = fault_in(kind, text)
    assert fault.endswith(".")
    assert not text.strip() or text.strip() not in fault


@pytest.mark.parametrize("group", range(8))
def test_a_mistyped_digit_of_a_recovery_key_is_found_and_its_group_named(group):
    groups = BITLOCKER.split("-")
    for place in range(6):
        for digit in "0123456789":
            if digit != groups[group][place]:
                mistyped = [*groups]
                mistyped[group] = groups[group][:place] + digit + groups[group][place + 1:]
                assert f"Group {group + 1} " in fault_in("bitlocker_key", "-".join(mistyped))
