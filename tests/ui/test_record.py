"""One record's answers as they are drawn."""

from dataclasses import replace

from semievol.records import Record, Response, Task
from semievol.ui import record

TASK = Task("classification", ("road", "water"))
ASKED = Record("r", "Who mends the tap?", (), None, "unlabeled", 1)
SAID = Response("r", "one", "water", "water", (0.2, 0.8), mass=0.97)


def test_a_model_that_does_not_answer_the_question_is_told_so() -> None:
    assert "not answering" not in repr(record.response(TASK, ASKED, SAID))
    drawn = repr(record.response(TASK, ASKED, replace(SAID, mass=0.02)))
    assert "the model gives 2.0 % to the allowed answers together: it is not answering the question" in drawn
