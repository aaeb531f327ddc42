"""What may be claimed about a kept set, and on what grounds; docs/evidence.md has the formulas and sources.

`precision` bounds how many of the kept answers are wrong, by the `hypergeometric` distribution of a finite pool.
`reviews` plans random reviews and computes what they prove. `shift` tests whether labeled and unlabeled records are
alike, `risk` compares measures by risk and coverage, `agreement` measures reviewers. `summary` puts together what is
known of a kept set.
"""
