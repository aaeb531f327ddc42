"""Which candidates become pseudo-labels.

`policy` applies a rule over a confidence measure and then the experts' decisions. `ranking` orders the candidates
inside every group and says how far down a rule reaches. `similar` finds records that read alike, for corrections in
bulk.
"""
