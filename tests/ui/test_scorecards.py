"""The view of the Responses page that says how good each collaborator is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from streamlit.testing.v1 import AppTest

from semievol.endpoints import Endpoint
from semievol.jobs import inference_process, inference_server
from semievol.method.scorecards import JudgeAudit
from semievol.records import Cost
from semievol.store import schema, settings
from semievol.store.database import Store
from semievol.ui.responses import costs, scorecards
from tests.fakes import FakeEngine
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def test_every_collaborator_has_a_line_and_pairs_are_compared(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("responses", project=project.id, show="Scorecards")
    names = ["warm-up, demonstrations", "warm-up alone"]
    assert app.dataframe[0].value["name"].tolist() == names
    assert app.dataframe[1].value["of"].sum() == 8
    shown = told(app)
    assert "On 8 calibration records that no model had seen" in shown
    assert "Share of 60 unlabeled records." in shown
    assert "Did the judge help?" in shown


def test_without_known_answers_the_page_says_how_to_get_some(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    with store.write() as connection:
        connection.execute(delete(schema.candidates).where(schema.candidates.c.pool.is_(False)))
    shown = told(visit("responses", project=project.id, show="Scorecards"))
    assert "no record with a known answer was kept from the models" in shown
    assert "How alike do they answer?" in shown


def test_what_each_takes_for_a_record_is_beside_how_good_it_is(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    lines = visit("responses", project=project.id, show="Scorecards").dataframe[0].value.set_index("name")
    assert lines["time"].tolist() == ["500 ms", "500 ms"]
    with_demonstrations, without = (int(cell.split(" + ")[0]) for cell in lines["tokens"])
    assert with_demonstrations > without > 0
    with store.write() as connection:
        connection.execute(delete(schema.candidates).where(schema.candidates.c.pool.is_(False)))
    assert (
        visit("responses", project=project.id, show="Scorecards").dataframe[0].value["time"].tolist() == ["500 ms"] * 2
    )


def test_a_round_from_before_costs_were_counted_says_so(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    with store.write() as connection:
        connection.execute(delete(schema.costs))
    app = visit("responses", project=project.id, show="Scorecards")
    assert "time" not in app.dataframe[0].value
    assert "this round was answered before it was counted" in told(app)


def test_prices_are_shown_where_a_collaborator_has_some(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    settings.save_endpoint(store, Endpoint("far", "http://127.0.0.1:9/v1", "m", input_price=1.0))
    page = visit("responses", project=project.id, show="Scorecards")
    assert "price" not in page.dataframe[0].value
    with store.write() as connection:
        (config,) = connection.execute(select(schema.rounds.c.config)).scalars()
        config["propagation"]["collaborators"][1]["model"] = "endpoint:far"
        connection.execute(update(schema.rounds).values(config=config))
    prices = visit("responses", project=project.id, show="Scorecards").dataframe[0].value["price"]
    assert prices.iloc[0] == "none"
    assert float(prices.iloc[1]) > 0


def test_costs_in_words() -> None:
    took = Cost(4, 10.0, 848, 26)
    assert costs.per_record(took) == {"time": "2.5 s", "tokens": "212 + 6", "price": "none"}
    assert costs.per_record(Cost(1000, 31.2)) == {"time": "31 ms", "tokens": "none", "price": "none"}
    server = Endpoint("far", "http://127.0.0.1:9/v1", "m", input_price=1.0, output_price=4.0)
    assert costs.per_record(took, server)["price"] == "0.00024"  # (848 + 4 * 26) / 4 / 1,000,000
    assert set(costs.per_record(None).values()) == {"not known"}


def test_the_judge_is_asked_again_in_another_order(visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()  # goes by the content, but not as the one that gave the verdicts

    def request(store: Store, config: object, asked: dict[str, Any], watch: object) -> Any:
        return inference_server._VERBS[asked["verb"]](engine, asked)

    monkeypatch.setattr(inference_process, "request", request)
    project = made.with_options(store)
    app = visit("responses", project=project.id, show="Scorecards")
    assert app.number_input(key="order_size").value == 2, "no more than there are"
    press(app, "Ask in another order")
    assert len(engine.asked) == 4, "each as it was, and reversed"
    assert "left out: the same prompt, read again on this machine, already gives another verdict." in told(app)


def test_a_round_without_a_judge_says_so(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    with store.write() as connection:
        (config,) = connection.execute(select(schema.rounds.c.config)).scalars()
        config["propagation"] |= {"justify": False, "verdict_confidence": "pooled"}
        connection.execute(update(schema.rounds).values(config=config))
    app = visit("responses", project=project.id, show="Scorecards")
    assert "This round has no judge (self-justify is off): a dispute gets the answer that is likeliest" in told(app)
    assert not [button for button in app.button if button.label == "Ask in another order"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (JudgeAudit(0, 0, 0, 0, 0, 0), "It was asked about no record with a known answer.".lower()),
        (JudgeAudit(9, 0, 0, 0, 5, 5), "It never overturned the majority."),
        (JudgeAudit(9, 4, 2, 1, 6, 5), "4 times: 2 from wrong to right, 1 from right to wrong, 1 from one wrong"),
    ],
)
def test_the_judge_is_told_in_sentences(found: JudgeAudit, words: str) -> None:
    assert words in scorecards.verdict(found) or words in scorecards.verdict(found).lower()
