"""The prompt behind a stored response, proved by its hash, and the words behind its token probabilities."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semievol.config import Collaborator
from semievol.jobs import sent_prompts
from semievol.records import Response
from semievol.store.data import versions
from semievol.store.database import Store, open_store
from semievol.store.results import results
from semievol.store.runs.rounds import get_round
from tests.ui import made

TEXT = "The tap near Mill Lane."
FREE = Response("r", "one", TEXT, TEXT, token_logprobs=(-0.1,) * 8)


@pytest.fixture
def store(_own_home: None) -> Store:
    return open_store()


def test_every_prompt_is_made_again_exactly_as_it_was_sent(store: Store) -> None:
    project = made.with_options(store)
    round_ = get_round(store, made.round_of(store, project))
    task = versions.task_of(store, round_.version_id)
    judged = 0
    for record_id in results.candidate_frame(store, round_.id).index:
        view = results.record_view(store, round_.id, str(record_id))
        for said in filter(None, [*view.responses, view.justification]):
            found = sent_prompts.sent(store, round_, task, view, said)
            assert found is not None
            assert found.exact
            judged += "Weigh them and give the final answer." in found.messages[-1].content
    assert judged > 0
    odd = replace(view, responses=[replace(view.responses[0], input_hash="another")])
    found = sent_prompts.sent(store, round_, task, odd, odd.responses[0])
    assert found is not None
    assert not found.exact


def test_without_a_language_model_no_prompt_was_sent(store: Store) -> None:
    project = made.with_results(store, until="justify")
    round_ = get_round(store, made.round_of(store, project))
    task, view = versions.task_of(store, round_.version_id), results.record_view(store, round_.id, "unlabeled-0000")
    voter = Collaborator(name="vote", model="neighbours")
    settings = round_.config.propagation.model_copy(update={"collaborators": (voter,)})
    voted = replace(round_, config=round_.config.model_copy(update={"propagation": settings}))
    said = replace(view.responses[0], collaborator="vote")
    assert sent_prompts.sent(store, voted, task, view, said) is None


def test_the_tokens_of_an_answer_get_their_words_only_where_their_number_fits() -> None:
    assert sent_prompts.words_of("starter", _of_length(64), 64) is None
    fitting = next(n for n in range(2, 30) if sent_prompts.words_of("starter", _of_length(n), 64))
    words = sent_prompts.words_of("starter", _of_length(fitting), 64)
    assert words is not None
    assert ("".join(words), words[-1], len(words)) == (TEXT, "", fitting)
    assert sent_prompts.words_of("starter", _of_length(fitting - 1), 64) is None  # no token ends a short answer
    cut = sent_prompts.words_of("starter", _of_length(fitting - 1), fitting - 1)
    assert cut == words[:-1]
    assert sent_prompts.words_of("/no/such/folder", _of_length(fitting), 64) is None


def _of_length(number: int) -> Response:
    return replace(FREE, token_logprobs=(-0.1,) * number)
