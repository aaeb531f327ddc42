"""Answers with exact probabilities.

`questions` makes batches of questions, and replies of their results. `scoring` gives the probability of every allowed
answer without generating. `generation` generates free answers with the log-probability and entropy of every token;
`decoding` continues their prompts token by token. `timing` divides the time of a batch among its answers.
"""
