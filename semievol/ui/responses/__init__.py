"""The Responses page: candidates with every collaborator's answer, and how good each collaborator is."""
