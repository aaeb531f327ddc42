"""One round as one self-contained HTML page in plain sentences: data, selection, and results with their intervals.

It has no script, no network access and no path of this machine; every text from data is escaped. It is light or dark as
the reader's screen is, and light on paper.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from semievol import glossary, presets, wording
from semievol.charts import MEASURES, bin_confidence
from semievol.export import drawing, ledger_section
from semievol.export.caveats import caveats, unfrozen
from semievol.method import demonstration_readers, earned_weights
from semievol.method.comparison import ARMS
from semievol.method.conclusions import beside_simple_models, outcome, paired
from semievol.method.paired_tests import against_every_row
from semievol.palette import DARK, LIGHT, Palette
from semievol.records import Action, Task
from semievol.selection import claims
from semievol.selection.counts import Counts
from semievol.selection.decisions import effective
from semievol.selection.summary import pseudo_accuracy
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.decisions import decisions, selections
from semievol.store.results import outcomes, results
from semievol.store.runs import rounds, runs
from semievol.store.runs.rounds import Round
from semievol.task.answers import class_name

_BY = {"pseudo": "policy", "expert": "expert"}
_DECIDED: dict[Action, str] = {
    "accept": "accepted",
    "edit": "corrected",
    "reject": "rejected",
    "ambiguous": "without a fitting answer",
}
_SHOWN = 8


def _colours(theme: Palette) -> str:
    return (
        f"body {{ color: {theme.text}; background: {theme.background}; }} .quiet, caption {{ color: {theme.quiet}; }} "
        f"th, td {{ border-color: {theme.line}; }} pre {{ background: {theme.surface}; }}"
    )


_STYLE = f"""
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.7rem; margin-bottom: .2rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.4rem; }}
h1, p {{ overflow-wrap: anywhere; }}
.lead {{ font-size: 1.3rem; font-weight: 600; line-height: 1.35; margin: 1.4rem 0 0; }}
svg {{ max-width: 100%; height: auto; font-size: 13px; }}
table {{ border-collapse: collapse; width: 100%; font-size: .92rem; margin-bottom: 1.2rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid; }}
td {{ overflow-wrap: anywhere; white-space: pre-wrap; }} td:first-child {{ min-width: 7.5rem; }}
td:not(:first-child) {{ overflow-wrap: break-word; }}
pre {{ padding: .8rem; font-size: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
{_colours(LIGHT)}
@media screen and (prefers-color-scheme: dark) {{ {_colours(DARK)} }}
@media print {{
  :root {{ color-scheme: light; }}
  body {{ max-width: none; margin: 0; padding: 0; font-size: 10.5pt; background: none; }}
  h2, .caption {{ break-after: avoid; }} tr, svg, .lead {{ break-inside: avoid; }} p {{ orphans: 3; widows: 3; }}
  pre {{ font-size: 7.5pt; columns: 2; padding: 0; background: none; }}
}}
@page {{ margin: 18mm; }}
{drawing.STYLE}
"""


def page(store: Store, project: projects.Project, round_: Round) -> str:
    """The report of a round; its evaluation is that of the newest run that has one."""
    version = versions.get_version(store, round_.version_id)
    frame = results.candidate_frame(store, round_.id)
    frozen = selections.selections(store, round_.id)
    mine = [run for run in runs.list_runs(store, project.id) if run.round_id == round_.id]
    judged = next((run for run in mine if outcomes.evaluation(store, run.id)), None)
    run = judged or (mine[0] if mine else None)
    task, later_round = version.task, round_.parent_id is not None
    evaluation = outcomes.evaluation(store, judged.id) if judged else None
    parts = [
        f"<h1>{_e(project.name)}</h1>",
        f'<p class="quiet">SemiEvol Studio, {_e(round_.full_title.lower())}, opened {_e(round_.created[:10])}, '
        f"dataset version {version.number}.</p>",
        *_lead(evaluation or {}, later_round),
        *_results(evaluation, later_round),
        *(_caveats(store, round_, judged) if judged else []),
        *_data(version),
        *_propagation(round_, frame, rounds.weights(store, round_.id)),
        *(_selection(store, task, round_, frozen[-1], frame) if frozen else []),
        *ledger_section.rounds(store, project),
        *_reviewed(store, project),
    ]
    parts += [*_terms("\n".join(parts)), *_repeat(round_, run)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_e(project.name)}: SemiEvol report</title><style>{_STYLE}</style></head><body>\n"
        + re.sub(r"(?<=\d) %", "\u00a0%", "\n".join(parts))
        + "\n</body></html>\n"
    )


def _lead(found: dict[str, Any], later_round: bool) -> list[str]:
    """The result in one sentence, as the pages begin with it."""
    sentence = outcome(found, later_round)
    if not sentence:
        return []
    under = (
        f"Right answers of the evolved model to {wording.plural(found['n'], 'test record')}, whose answers no model "
        "was shown, and the difference in percentage points with its 95 % interval. Words that need it are explained "
        "under Terms."
    )
    return [f'<p class="lead">{_e(sentence)}</p>', f'<p class="quiet">{_e(under)}</p>']


def _results(found: dict[str, Any] | None, later_round: bool) -> list[str]:
    heading = "<h2>Results</h2>"
    if found is None:
        return [heading, "<p>No model was evaluated in this round yet.</p>"]
    names, sentences = wording.row_words(later_round), []
    for arm in (arm for arm in ARMS if arm in found):
        one = found[arm]
        told = (
            f"{names[arm]}: right on {wording.percent(one['accuracy'])} of the {found['n']:,} test records "
            f"(between {wording.percent(one['low'])} and {wording.percent(one['high'])} with 95 % confidence)."
        )
        sentences.append(_e(told))
    if compared := paired(found, later_round):
        sentences.append(_e(compared))
    rows = [row for row in names if row in found]
    scored = any("macro_f1" in found[row] for row in rows)
    values = {key: [round(100 * found[row][key], 1) for row in rows] for key in ("accuracy", "low", "high")}
    figure = drawing.bars(
        [names[row] for row in rows], values["accuracy"], values["low"], values["high"], " %", "Right answers"
    )
    paragraphs = [f"<p>{' '.join(sentences)}</p>", *(f"<p>{_e(one)}</p>" for one in beside_simple_models(found))]
    table = [
        (
            names[row],
            wording.percent(one["accuracy"]),
            f"{wording.percent(one['low'])} to {wording.percent(one['high'])}",
        )
        + ((f"{one['macro_f1']:.3f}" if "macro_f1" in one else "",) if scored else ())
        for row in rows
        for one in [found[row]]
    ]
    head = ["Model", "Right", "95 % interval", *(["Macro-F1"] if scored else [])]
    figures = [_table(head, table), *_scores(found, rows, names), *_compared(found, names)]
    caption = "Right answers on the test records, with 95 % intervals:"
    return [heading, *paragraphs, f'<p class="quiet caption">{_e(caption)}</p>', figure, *figures]


def _scores(found: dict[str, Any], rows: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """The scores of open tasks: how near the answers are."""
    for score, head in (("token_f1", "Token F1"), ("median_error", "Median error")):
        if any(score in found[row] for row in rows):
            keys = (score, f"{score}_low", f"{score}_high")
            lines = [(names[row], *(wording.percent(found[row].get(key)) for key in keys)) for row in rows]
            return [_table(["Answered by", head, "between", "and (95 %)"], lines)]
    return []


def _compared(found: dict[str, Any], names: Mapping[str, str]) -> list[str]:
    """The evolved model against every other row, as on the Evaluation page."""
    tests = against_every_row(found)
    if not tests:
        return []
    lines = [
        (names[one.row], one.verdict, f"{100 * one.difference:+.1f}".replace("-", "−"), one.interval, one.chance)
        for one in tests
    ]
    head = ["Evolved compared with", "Verdict", "Points", "95 % interval", "p, corrected (Holm)"]
    said = (
        "Is it better, or luck? On the same test records; points are the accuracy of the evolved model minus that of "
        "the other. From a p of 0.05 on it is too close to call. The intervals are not corrected, so one may "
        "leave out 0 all the same:"
    )
    return [f'<p class="caption">{_e(said)}</p>', _table(head, lines)]


def _caveats(store: Store, round_: Round, run: runs.Run) -> list[str]:
    return [f"<p>{_e(one)}</p>" for one in caveats(store, round_, run, outcomes.evaluation(store, run.id) or {})]


def _data(version: versions.Version) -> list[str]:
    task, counts = version.task, version.counts
    kind = _e(task.kind.replace("_", " "))
    labels = f" with the labels {_e(', '.join(task.labels))}" if task.labels else ""
    parts = [
        "<h2>Data</h2>",
        f"<p>A {kind} task{labels}: {counts.get('labeled', 0):,} labeled, {counts.get('unlabeled', 0):,} unlabeled and "
        f"{counts.get('test', 0):,} test records.</p>",
    ]
    if task.instruction:
        parts.append(f"<p>Asked of every record: {_e(task.instruction)}</p>")
    findings = [
        (f.get("what") or f["kind"], f.get("where", ""), f.get("done") or f.get("remedy", "")) for f in version.findings
    ]
    return [*parts, _table(["Found in the data", "In", "Done, or to do"], findings)] if findings else parts


def _propagation(round_: Round, frame: pd.DataFrame, weights: dict[str, Any] | None) -> list[str]:
    settings = round_.config.propagation
    parts = [
        "<h2>Propagation: answers to the unlabeled records</h2>",
        f"<p>Model {_e(_shown_model(round_.config.model))}, preset {_e(round_.config.preset)}: every unlabeled record "
        f"was answered by {wording.plural(len(settings.collaborators), 'collaborator')} ("
        f"{_e(', '.join(one.name for one in settings.collaborators))}). "
        f"{_e(demonstration_readers.sentence(settings))}</p>",
        *([f"<p>{_e(earned_weights.sentence(weights))}</p>"] if weights else []),
    ]
    if frame.empty:
        return [*parts, "<p>There are no candidates yet.</p>"]
    agreed = int(frame["agreed"].sum())
    share = wording.percent(agreed / len(frame))
    parts.append(f"<p>The collaborators agreed on {agreed:,} of {len(frame):,} records ({share}).</p>")
    measure = round_.config.policy.measure
    bins = bin_confidence(frame[measure], frame["agreed"], 40)
    if len(bins):
        layers = {name: bins[name].astype(int).tolist() for name in ("agreed", "disputed")}
        parts.append('<p class="quiet caption">How sure the candidates are (height: number of records):</p>')
        title = f"{MEASURES.get(measure, measure)}; left is more confident"
        parts.append(drawing.histogram(bins["left"].tolist(), bins["right"].tolist(), layers, title))
    return parts


def _selection(store: Store, task: Task, round_: Round, frozen: dict[str, Any], frame: pd.DataFrame) -> list[str]:
    chosen = selections.selection_frame(store, round_.id, frozen["number"])
    origins, known = frozen["origins"] or {}, frozen["evidence"] or {}
    by_policy, by_expert = origins.get("pseudo", 0), origins.get("expert", 0)
    held = f"Selection {frozen['number']} holds {len(chosen):,} of {len(frame):,} candidates: "
    held += f"{by_policy:,} by the policy, {by_expert:,} by decisions of experts."
    if "counts" in known:
        held = f"Selection {frozen['number']}. {Counts(**known['counts']).sentence()}"
    parts = ["<h2>Selection</h2>", f"<p>{_e(held)}</p>"]
    if since := unfrozen(store, round_.id):
        parts.append(f"<p>{_e(since)}</p>")
    parts += [f"<p>{_e(f'{tier.title}: {tier.sentence}')}</p>" for tier in claims.remembered(known, len(chosen))]
    if gold := selections.from_gold(store, round_.id, frozen["number"]):
        parts.append(f"<p>{_e(claims.from_gold(gold))}</p>")
    shares = pseudo_accuracy(task, frame, dict(zip(chosen["record_id"], chosen["answer"], strict=True)))
    if sentence := claims.measured(shares):
        parts.append(f"<p>{_e(sentence)}</p>")
    if task.closed and len(chosen):
        counts = chosen["answer"].value_counts().head(12)
        parts.append('<p class="quiet caption">Kept answers, number of records:</p>')
        parts.append(
            drawing.bars(
                [class_name(task, str(name)) for name in counts.index], [float(n) for n in counts], title="Kept answers"
            )
        )
    if len(chosen):
        shown = chosen.head(_SHOWN)
        rows = zip(shown["question"].str.slice(0, 300), shown["answer"], shown["origin"].map(_BY), strict=True)
        parts.append(_table(["Kept records (the first ones)", "Answer", "Kept by"], rows))
    return parts


def _reviewed(store: Store, project: projects.Project) -> list[str]:
    effects = (effective(entries) for entries in decisions.standing(store, project.id).values())
    last = Counter(found[-1].action for found in effects if found)
    counts = ", ".join(f"{last[action]:,} {words}" for action, words in _DECIDED.items() if last[action])
    if not counts:
        return []
    return ["<h2>Decisions of experts</h2>", f"<p>Decisions that count in this project: {counts}.</p>"]


def _terms(page: str) -> list[str]:
    """What the terms of the page mean."""
    words = html.unescape(re.sub(r"<[^>]+>", " ", page))
    return ["<h2>Terms</h2>", _table(["Term", "Meaning"], glossary.explained(words))]


def _repeat(round_: Round, run: runs.Run | None) -> list[str]:
    config = presets.anywhere((run.config if run else round_.config).model_dump(mode="json"))
    mine = config["propagation"]
    for asked in (config, *mine["collaborators"], mine["judge"]):
        asked["model"] = _shown_model(asked["model"])
    mine["embedder"] = _shown_model(mine["embedder"])
    parts = [
        "<h2>Settings to repeat the round</h2>",
        "<p>Only for those who run the Studio again.</p>",
    ]
    if run is not None and run.environment:
        shown = {name: value for name, value in run.environment.items() if name != "control_tokens"}
        parts.append(_table(["Software, machine", "Version or kind"], sorted(shown.items())))
    return [*parts, f"<pre>{_e(json.dumps(config, indent=1))}</pre>"]


def _table(head: Sequence[str], rows: Any) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{_e(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    names = "".join(f'<th scope="col">{_e(name)}</th>' for name in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table>"


def _shown_model(name: str) -> str:
    """A folder's last part: a report does not reveal where a folder is on this machine."""
    return Path(name).name if Path(name).is_absolute() or name.startswith("~") else name


def _e(value: object) -> str:
    return html.escape(str(value), quote=True)
