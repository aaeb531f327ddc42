"""An endpoint's entry: what is refused at once, and that no key slips into one."""

from __future__ import annotations

import pytest

from semievol.endpoints import Endpoint, address, is_endpoint, name_of, tuned_of, without_key
from semievol.errors import UserError
from semievol.presets import overlaid

CANARY = "sk-canary-0123456789abcdef"


def made(**values: object) -> Endpoint:
    return Endpoint(**{"name": "far", "url": "https://api.example.org/v1", "model": "m"} | values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/v1",
        "https://",
        "https://user:secret@host/v1",
        "https://host/v1?key=secret",
        "https://host/v1#secret",
        "https://host:port/v1",
        "http://[::1",
        "http://0x7f.1/v1",
        "http://2130706433/v1",
        "http://127.1/v1",
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/v1",
        "http://0.0.0.0/v1",
        "https://ho st/v1",
        "host/v1",
        "",
    ],
)
def test_a_url_that_names_no_safe_server_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(UserError) as caught:
        made(url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/v1", "http://127.0.0.1/v1", "http://10.1.2.3:80/v1", "http://[::1]:8000/v1", "https://a.b"],
)
def test_a_key_may_go_to_this_machine_a_private_address_or_anywhere_encrypted(url: str) -> None:
    assert made(url=url, key_variable="THE_KEY").url == url


def test_a_key_never_travels_the_open_net_in_plain_text() -> None:
    with pytest.raises(UserError, match="without encryption"):
        made(url="http://api.example.org/v1", key_variable="THE_KEY")
    assert made(url="http://api.example.org/v1").key({}) == ""


def test_a_key_typed_in_place_of_its_variable_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError) as caught:
        made(key_variable=CANARY)
    assert CANARY not in str(caught.value)
    assert "never typed" in caught.value.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"name": "two words"},
        {"name": ""},
        {"model": " "},
        {"concurrency": 0},
        {"concurrency": 1000},
        {"input_price": -1.0},
        {"output_price": float("nan")},
    ],
)
def test_other_values_that_cannot_be_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UserError):
        made(**values)


def test_the_key_comes_from_the_environment_or_the_variable_is_named() -> None:
    assert made(key_variable="THE_KEY").key({"THE_KEY": f" {CANARY}\n"}) == CANARY
    with pytest.raises(UserError, match="THE_KEY"):
        made(key_variable="THE_KEY").key({"THE_KEY": ""})


def test_prices_are_for_a_million_tokens() -> None:
    assert made(input_price=2.0, output_price=8.0).cost(500_000, 250_000) == pytest.approx(3.0)
    assert made().cost(500_000, 250_000) == 0
    assert made(output_price=1.0).priced
    assert not made(input_price=0.0).priced


def test_a_short_placeholder_is_no_secret() -> None:
    assert without_key(f"Bearer {CANARY} is wrong", CANARY) == "Bearer [key] is wrong"
    assert without_key("none of them", "none") == "none of them"


def test_settings_name_the_endpoints_that_answer_or_judge() -> None:
    far, near = {"name": "a", "model": "endpoint:far"}, {"name": "b", "model": "warm_up"}
    judge = {"name": "judge", "model": "endpoint:wise", "demonstrations": False}
    asked = {"collaborators": [far, near], "judge": judge}
    assert overlaid({"propagation": asked | {"justify": True}}).propagation.endpoints == ("far", "wise")
    assert overlaid({"propagation": asked | {"justify": False}}).propagation.endpoints == ("far",)
    assert overlaid({"propagation": asked, "model": "endpoint:own"}).endpoints == ("own", "far")


def test_a_model_that_was_fine_tuned_at_an_endpoint_has_an_address() -> None:
    far = made(input_price=1.0, output_price=2.0, tuned_input_price=3.0, training_price=8.0)
    place = address("endpoint:far", "ft:gpt-4o-mini:us/1")
    assert is_endpoint("endpoint:far")
    assert is_endpoint(place)
    assert (name_of("endpoint:far"), name_of(place)) == ("far", "far")
    assert (tuned_of("endpoint:far"), tuned_of(place)) == ("", "ft:gpt-4o-mini:us/1")
    tuned = far.tuned(tuned_of(place))
    assert (tuned.model, tuned.cost(1e6, 1e6), far.cost(1e6, 1e6)) == ("ft:gpt-4o-mini:us/1", 5.0, 3.0)
    assert far.training_cost(2e6) == 16.0
    with pytest.raises(UserError, match="no price"):
        made(training_price=-1.0)


@pytest.mark.parametrize("overlay", [{"model": "endpoint:"}, {"budget": -1}, {"budget": float("inf")}])
def test_settings_that_an_endpoint_cannot_have_are_refused(overlay: dict[str, object]) -> None:
    with pytest.raises(UserError):
        overlaid(overlay)
