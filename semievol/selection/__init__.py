"""Which candidates become pseudo-labels.

`decisions` says what experts' decisions mean for a candidate. `policy` applies a rule over a confidence measure, then
these decisions. `ranking` orders the candidates inside every group and says how far down a rule reaches. `similar`
finds records that read alike, for corrections in bulk.
"""
