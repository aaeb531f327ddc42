"""The Responses page: candidates with every collaborator's answer."""
