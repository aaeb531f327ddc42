"""Answering on several devices of this machine.

`shards`: which questions go to which device, and how questions and answers are written down.
`sharing`: starts a process for every further device, gives each its questions, collects the answers, ends them.
`process`: such a process.
"""
