"""Which candidates become pseudo-labels.

`candidates` is the table that everything here reads. `decisions` defines what experts' decisions mean for a candidate.
`policy` applies a rule over a confidence measure, then these decisions. `ranking` orders the candidates inside every
group and finds how far down a rule reaches. `equivalent` says the same cut by another rule. `summary` finds what is
accepted, with what is known of it. `counts` says how the candidates divide, `claims` what may be said of the kept ones.
`similar` finds records that read alike, `area` those in a part of the map. `turnover` counts what changed from one
round to the next.
"""
