"""SemiEvol itself: the seven stages of a round, over two protocols and no library.

Read `evolve` first: one function for each stage, in the order in which they run. `protocols` says what it needs of an
engine and of a journal. `collaborators` are lists of these and their changes. `conversations` makes questions to
models, reads their replies, and makes training examples. `remote` puts questions to endpoints, `spending` keeps account
of them, `judging` asks the judge, `given` reads stored responses, `local_models` says which models a run needs here.
`voters` are collaborators without a language model, `crossfit` judges labeled records by models that never saw them,
`suited` fits settings to a task, `demonstration_readers` says who reads demonstrations, `earned_weights` weighs
collaborators, `scorecards` says how good each of them is, `verifier` learns confidence, `label_errors` lists labels
that look wrong, `comparison` compares models on the test set, `conclusions` says what came of it, `ensemble` lets a
model answer together with voters, `paired_tests` tests the evolved one against all others, `ledger` compares rounds,
`stopping` says whether another is worth it, `small_budget` what to do with few labeled records, `preflight` whether
propagation is likely to help, `influence` what a demonstration does. Pure mathematics: `confidence`, `weights`,
`metrics`, `open_answers`, `calibration`.
"""
