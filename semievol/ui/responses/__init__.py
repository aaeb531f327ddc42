"""The Responses page: candidates with every collaborator's answer, and which measure orders them best."""
