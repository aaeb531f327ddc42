"""The Responses page: candidates with every collaborator's answer. `measures` is drawn on the Selection page."""
