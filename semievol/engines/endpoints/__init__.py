"""Models behind servers that speak OpenAI's protocol, asked through the openai client. Loads no torch.

`asking` puts many questions at once, `server` one question with its retries, `batches` many questions as one file,
which `desk` hands over and takes back. `tuning` has a server fine-tune a model: `work` says what is to be done, `shop`
is the part of the server that does it. `errands` makes calls that take hours outlast a server's absences. `transport`
keeps every request to one origin and every reply to a size. `requests` says what is sent and what the server turned out
to understand, `replies` reads and checks what comes back. `trial` finds out what a server can do.
"""
