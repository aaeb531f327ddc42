"""Studies: the method beside its baselines and without its parts, on splits that are drawn anew for every seed.

`redraw` draws the splits of a seed, `arms` names what is compared, `variants` says how a variant's settings differ,
`seed` carries arms out, and `figures` sums up. What a seed finds is kept by `journal`, in memory. Knows nothing of
projects, databases or screens.
"""
