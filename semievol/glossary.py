"""What the terms on the Evaluation page and in the report mean, for readers who are no experts."""

from __future__ import annotations

import re

TERMS: tuple[tuple[str, str, str], ...] = (
    ("Labeled records", r"labeled records", "Records with a known answer, from which the models learn."),
    ("Unlabeled records", r"unlabeled", "Records without a known answer, which the Studio answers."),
    ("Test records", r"test (?:record|set)", "Records with a known answer that no model learns from or is shown."),
    ("Base", r"\bbase\b", "The language model as it came, not trained on the project's records."),
    ("Plain fine-tuning, warm-up", r"plain fine-tuning|warm-up", "The model trained on the labeled records alone."),
    ("Evolved", r"evolved", "The model trained on the labeled records and on the kept answers to unlabeled ones."),
    ("Round before", r"round before", "The evolved model that this round started from."),
    ("Most frequent label", r"most frequent label", "Always answers what the labeled records say most often."),
    (
        "Neighbours' vote",
        r"neighbours' vote",
        "No language model: the answers of the labeled records whose texts are most alike, weighted by likeness.",
    ),
    (
        "Regression",
        r"regression",
        "No language model: a logistic regression on the vector that stands for a text's meaning.",
    ),
    (
        "Fine-tuned embedder",
        r"fine-tuned embedder|embedder that was fine-tuned",
        "What turns texts into vectors, trained on the labeled records so that texts with equal labels lie together.",
    ),
    (
        "Ensemble",
        r"ensemble",
        "A model's probabilities averaged with those of the simple models (neighbours' vote, regression), with the "
        "weights that they have as collaborators. They learn from what the model learned from.",
    ),
    ("Demonstrations", r"demonstration", "The most similar labeled records, shown to a model before the question."),
    ("Point", r"\bpoints?\b", "Percentage point: from 80 % to 85 % right are 5 points."),
    (
        "95 % interval",
        r"95 % (?:interval|confidence)|\(between",
        "Where the value may lie, as so few records leave it uncertain: made like this, 95 of 100 intervals hold it.",
    ),
    (
        "Macro-F1",
        r"macro-f1",
        "Mean over all labels of F1, so that rare ones count as much. F1 is high only if few records of a label are "
        "missed and few others are taken for it; 1 is best.",
    ),
    ("Token F1", r"token f1", "How many words an answer shares with the known one; 100 % if all of them."),
    ("Median error", r"median error", "Half of the numbers are off by less, relative to the known number."),
    (
        "p",
        r"\bp = |\bp, corrected|mcnemar",
        "How often chance alone would part two equally good models this far (mid-p McNemar test, on the records that "
        "only one of the two has right). Below 0.05 a difference counts as shown.",
    ),
    (
        "Corrected (Holm)",
        r"\bholm\b|, corrected",
        "Of many comparisons some succeed by luck; Holm's correction raises each p so that this stays rare.",
    ),
    ("Preset", r"\bpreset\b", "A named set of settings to start from."),
    (
        "Collaborator",
        r"collaborator",
        "One way to answer, for example a model, or a vote of similar records. Several answer every record.",
    ),
    ("Candidate, pseudo-label", r"candidate|pseudo-label", "The answer that the collaborators together give a record."),
    ("Agreed, disputed", r"\bagreed\b|\bdisputed\b", "Whether all collaborators gave a record the same answer."),
    (
        "NLL",
        r"\bNLL\b",
        "Negative log-likelihood: minus the logarithm of the probability given to the answer. 0 is certain; 0.7 is "
        "a probability of one half.",
    ),
    ("Policy", r"\bpolicy\b", "The rule that keeps the confident candidates; models learn from these."),
    ("Expert", r"\bexperts?\b", "A person who has looked at a record and decided."),
    (
        "Checked records, calibration",
        r"checked records|calibration record|cross-fit",
        "Labeled records answered by models that did not learn from them: they are kept out of all training "
        "(calibration), or answered by models trained without them (cross-fitting). They show how many answers are "
        "right.",
    ),
    ("Verified", r"\bverified\b|random review", "Answers were drawn at random, and a person said how many are right."),
    ("Hidden gold", r"hidden gold", "Known answers of unlabeled records, used only to measure; no model sees them."),
    ("Adapter", r"\badapter\b", "What fine-tuning added to a base model: a small file that needs the base model."),
)
"""Term, a pattern of the words that need it (case is ignored), meaning; in the order in which a reader meets them."""


def explained(text: str) -> list[tuple[str, str]]:
    """Term and meaning of every term that occurs in a text."""
    return [(term, meaning) for term, words, meaning in TERMS if re.search(words, text, re.IGNORECASE)]
